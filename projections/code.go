package projections

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The stored bytes of the models (livecode.go, identitycode.go, seriescode.go). They are canonical: two
// models are equal exactly when their bytes are, so "equal projections" means equal bytes. Parsing never
// panics, and allocates no more than a fixed multiple of its input, whatever that claims. What was parsed
// does not alias its source. Each model starts with a byte that names its form; integers are varints,
// signed ones zigzag.

var errShort = errors.New("bytes end too early")

// reader takes a model's bytes apart. Its first error sticks; after it everything reads as zero.
type reader struct {
	src []byte
	err error
}

// fail notes the first error.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.src = nil
}

func (r *reader) uvarint() uint64 {
	if len(r.src) > 0 && r.src[0] < 0x80 {
		v := uint64(r.src[0])
		r.src = r.src[1:]
		return v
	}
	v, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.fail(errShort)
		return 0
	}
	r.src = r.src[n:]
	return v
}

func (r *reader) varint() int64 { return unzigzag(r.uvarint()) }

func (r *reader) fixed64() uint64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// bytes gives the next n bytes, aliasing the source; nil after an error.
func (r *reader) bytes(n int) []byte {
	if n > len(r.src) {
		r.fail(errShort)
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

// count reads how many things follow, each of at least size bytes, and refuses what cannot be there.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.src)/size) {
		r.fail(fmt.Errorf("%d items claimed in %d bytes: %w", n, len(r.src), errShort))
		return 0
	}
	return int(n)
}

// index reads a position in a table of n.
func (r *reader) index(n int) int {
	i := r.uvarint()
	if i >= uint64(n) {
		r.fail(fmt.Errorf("reference %d into a table of %d", i, n))
		return 0
	}
	return int(i)
}

// exponent reads a decimal exponent.
func (r *reader) exponent() int16 { return r.narrow(r.varint()) }

func (r *reader) narrow(e int64) int16 {
	if e < math.MinInt16 || e > math.MaxInt16 {
		r.fail(fmt.Errorf("exponent %d", e))
		return 0
	}
	return int16(e)
}

// form takes the first byte, which names the form of what follows.
func (r *reader) form(want byte) {
	if b := r.bytes(1); b != nil && b[0] != want {
		r.fail(fmt.Errorf("unknown form %d (this program reads form %d; a newer one may have written it)", b[0], want))
	}
}

// end gives the error that ends the parse of a model.
func (r *reader) end(model string) error {
	if r.err == nil && len(r.src) > 0 {
		r.fail(fmt.Errorf("%d bytes behind the end", len(r.src)))
	}
	if r.err != nil {
		return fmt.Errorf("parsing %s model: %w", model, r.err)
	}
	return nil
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendVarint(dst []byte, v int64) []byte { return binary.AppendUvarint(dst, zigzag(v)) }
