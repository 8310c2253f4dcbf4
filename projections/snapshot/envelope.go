package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"telemetry-pipeline/events"
)

// A stored model is a tag, an envelope and the model's own bytes:
//
//	tag (1 byte: plain or compressed) · revision (uvarint) · length of upload id (uvarint) · upload id · model
//
// Models are equal when their own bytes are, independent of their envelopes.
type envelope struct {
	revision int64 // position in the log up to which the writer had folded
	upload   events.UploadID
}

const (
	tagPlain = 1
	tagZstd  = 2

	worthCompressing = 512      // bytes; compressing less gains nothing, since etcd itself needs 256 bytes per key
	maxModel         = 64 << 20 // bytes that a compressed model may claim to unpack to
	maxUpload        = 256      // bytes of an upload id that are kept
)

var errShort = errors.New("value ends within its envelope")

// codec packs and unpacks stored values. Safe for concurrent use.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() codec {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(256<<10), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options above are constants
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxModel))
	if err != nil {
		panic(err)
	}
	return codec{enc, dec}
}

// packValue returns the stored form of a model. Compression is for values that are read rarely; a model that does not
// shrink by an eighth stays plain.
func (c codec) packValue(e envelope, model []byte, compress bool) []byte {
	if len(e.upload) > maxUpload {
		e.upload = e.upload[:maxUpload]
	}
	value := make([]byte, 0, len(model)+len(e.upload)+16)
	value = append(value, tagPlain)
	value = binary.AppendUvarint(value, uint64(e.revision))
	value = binary.AppendUvarint(value, uint64(len(e.upload)))
	value = append(value, e.upload...)
	if head := len(value); compress && len(model) >= worthCompressing {
		value = c.enc.EncodeAll(model, value)
		if len(value)-head < len(model)-len(model)/8 {
			value[0] = tagZstd
			return value
		}
		value = value[:head]
	}
	return append(value, model...)
}

// parseEnvelope returns the tag and the envelope of a value, and the rest behind it.
func parseEnvelope(value []byte) (tag byte, e envelope, rest []byte, err error) {
	if len(value) == 0 {
		return 0, e, nil, errShort
	}
	tag, rest = value[0], value[1:]
	revision, n := binary.Uvarint(rest)
	if n <= 0 {
		return tag, e, nil, errShort
	}
	rest = rest[n:]
	length, n := binary.Uvarint(rest)
	if n <= 0 || length > uint64(len(rest)-n) {
		return tag, e, nil, errShort
	}
	rest = rest[n:]
	return tag, envelope{revision: int64(revision), upload: events.UploadID(rest[:length])}, rest[length:], nil
}

// uploadOf returns the upload in the envelope of a value, "" if it has none or cannot be read.
func uploadOf(value []byte) events.UploadID {
	_, e, _, _ := parseEnvelope(value) // an error leaves it empty
	return e.upload
}

// unpackValue reverses packValue. The model may alias value.
func (c codec) unpackValue(value []byte) (e envelope, model []byte, err error) {
	tag, e, rest, err := parseEnvelope(value)
	if err != nil {
		return envelope{}, nil, err
	}
	switch tag {
	case tagPlain:
		return e, rest, nil
	case tagZstd:
		model, err = c.dec.DecodeAll(rest, nil)
		return e, model, err
	}
	return e, nil, fmt.Errorf("unknown encoding %d of a stored model; a newer program may have written it", tag)
}
