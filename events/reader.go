package events

import (
	"encoding/binary"
	"errors"
)

// errTruncated is what is wrong with stored bytes that claim more than there is.
var errTruncated = errors.New("the stored bytes end too early")

// reader takes stored values off src. After an error it gives zeros.
type reader struct {
	src []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err, r.src = err, nil
	}
}

func (r *reader) byte() byte {
	if len(r.src) == 0 {
		r.fail(errTruncated)
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	if len(r.src) > 0 && r.src[0] < 0x80 {
		v := uint64(r.src[0])
		r.src = r.src[1:]
		return v
	}
	v, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// count reads how many things follow that have at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.src)/size) {
		r.fail(errTruncated)
		return 0
	}
	return int(n)
}

// bytes takes off n bytes.
func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.src)) {
		r.fail(errTruncated)
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

// text reads a text with its length.
func (r *reader) text() string { return string(r.bytes(r.uvarint())) }
