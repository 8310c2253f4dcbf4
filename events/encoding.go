package events

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The first byte of a stored event identifies its encoding. JSON needs no tag of its own: it starts with '[' (rows)
// or '{' (one row), so that a value in JSON is valid JSON.
const (
	tagFirstCompact = 0x01 // read, no longer written
	tagCompact      = 0x02
	tagRows         = '['
	tagRow          = '{'
)

// MaxBody bounds the uncompressed body of an event, in bytes, written or read.
const MaxBody = 8 << 20

// Codec encodes and decodes the values of events; no other package knows their bytes. It reuses compressors and
// buffers. It is safe for concurrent use and needs no closing.
type Codec struct {
	zip        *zstd.Encoder
	unzip      *zstd.Decoder
	vocabulary vocabulary
	writers    sync.Pool // of *compactWriter
	bodies     sync.Pool // of *[]byte
}

// NewCodec returns a Codec.
func NewCodec() (*Codec, error) {
	zip, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("making the event codec: %w", err)
	}
	unzip, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxBody))
	if err != nil {
		return nil, fmt.Errorf("making the event codec: %w", err)
	}
	return &Codec{zip: zip, unzip: unzip, vocabulary: newVocabulary()}, nil
}

// Encode appends an event's value in the compact encoding. Revision, Key and Damage are not part of it.
func (c *Codec) Encode(dst []byte, ev *Event) ([]byte, error) { return c.encodeCompact(dst, ev) }

// Decode parses a value in any encoding and returns only events that pass Check. For an unknown tag it returns an
// UnknownEncodingError. Arbitrary bytes result in an error; memory is bounded by MaxBody.
func (c *Codec) Decode(value []byte) (Event, error) {
	if len(value) == 0 {
		return Event{}, errors.New("decoding event: the value is empty")
	}
	switch value[0] {
	case tagCompact, tagFirstCompact:
		return c.decodeCompact(value[0], value[1:])
	case tagRows, tagRow:
		return DecodeJSON(value)
	case tagDeadLetter:
		return Event{}, decodeDeadLetter(value)
	}
	return Event{}, &UnknownEncodingError{Tag: value[0]}
}
