package events

import (
	"encoding/binary"
	"errors"
)

// errTruncated reports stored bytes that end before the lengths in them are satisfied.
var errTruncated = errors.New("the stored bytes end too early")

// reader consumes stored values from src. After an error it returns zeros.
type reader struct {
	src []byte
	err error
}

func (r *reader) setError(err error) {
	if r.err == nil {
		r.err, r.src = err, nil
	}
}

func (r *reader) readByte() byte {
	if len(r.src) == 0 {
		r.setError(errTruncated)
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *reader) readUvarint() uint64 {
	if len(r.src) > 0 && r.src[0] < 0x80 {
		v := uint64(r.src[0])
		r.src = r.src[1:]
		return v
	}
	v, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.setError(errTruncated)
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *reader) readVarint() int64 {
	v := r.readUvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// readCount reads the length of a list whose items have at least size bytes each.
func (r *reader) readCount(size int) int {
	n := r.readUvarint()
	if n > uint64(len(r.src)/size) {
		r.setError(errTruncated)
		return 0
	}
	return int(n)
}

// readBytes consumes n bytes.
func (r *reader) readBytes(n uint64) []byte {
	if n > uint64(len(r.src)) {
		r.setError(errTruncated)
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

// readText reads a text after its length.
func (r *reader) readText() string { return string(r.readBytes(r.readUvarint())) }
