package events

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The first byte of a stored event tells how the rest is encoded. JSON needs no tag of its own: it starts
// with '[' (rows) or '{' (one row), so that a value in JSON is JSON.
const (
	tagCompact = 0x01
	tagRows    = '['
	tagRow     = '{'
)

// MaxBody bounds an event's uncompressed body, written or read.
const MaxBody = 8 << 20

// Codec writes and reads the values of events; nothing else knows their bytes. It keeps what is costly to
// make anew. Safe for concurrent use; it needs no closing.
type Codec struct {
	zip     *zstd.Encoder
	unzip   *zstd.Decoder
	writers sync.Pool // of *compactWriter
	bodies  sync.Pool // of *[]byte
}

// NewCodec makes a Codec.
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
	return &Codec{zip: zip, unzip: unzip}, nil
}

// Encode appends an event's value in the compact encoding. Revision, Key and Damage are not part of it.
func (c *Codec) Encode(dst []byte, ev *Event) ([]byte, error) { return c.encodeCompact(dst, ev) }

// Decode reads a value in any encoding, and gives only events that pass Check. A tag that it does not know
// is an UnknownEncodingError. Arbitrary bytes give an error; memory is bounded by MaxBody.
func (c *Codec) Decode(value []byte) (Event, error) {
	if len(value) == 0 {
		return Event{}, errors.New("decoding event: the value is empty")
	}
	switch value[0] {
	case tagCompact:
		return c.decodeCompact(value[1:])
	case tagRows, tagRow:
		return DecodeJSON(value)
	case tagDeadLetter:
		return Event{}, decodeDeadLetter(value)
	}
	return Event{}, &UnknownEncodingError{Tag: value[0]}
}
