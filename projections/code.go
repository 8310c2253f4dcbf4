package projections

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The stored bytes of the models (livecode.go, identitycode.go, seriescode.go). They are canonical: two
// models are equal exactly when their bytes are, so "equal projections" means equal bytes. Parsing never
// panics, and allocates no more than a fixed multiple of its input's size, even where the input claims more. Parsed
// models do not alias their source. Each model starts with a byte that names its form; integers are varints,
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

func (r *reader) readUvarint() uint64 {
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

func (r *reader) readVarint() int64 { return unzigzag(r.readUvarint()) }

// readBytes returns the next n bytes, aliasing the source; nil after an error.
func (r *reader) readBytes(n int) []byte {
	if n > len(r.src) {
		r.fail(errShort)
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

// readCount returns the number of items that follow, each of at least size bytes, and refuses more than the rest of the
// source can hold.
func (r *reader) readCount(size int) int {
	n := r.readUvarint()
	if n > uint64(len(r.src)/size) {
		r.fail(fmt.Errorf("%d items claimed in %d bytes: %w", n, len(r.src), errShort))
		return 0
	}
	return int(n)
}

// readIndex returns a position in a table of n.
func (r *reader) readIndex(n int) int {
	i := r.readUvarint()
	if i >= uint64(n) {
		r.fail(fmt.Errorf("reference %d into a table of %d", i, n))
		return 0
	}
	return int(i)
}

// readExponent returns a decimal exponent.
func (r *reader) readExponent() int16 { return r.narrowExponent(r.readVarint()) }

func (r *reader) narrowExponent(e int64) int16 {
	if e < math.MinInt16 || e > math.MaxInt16 {
		r.fail(fmt.Errorf("exponent %d", e))
		return 0
	}
	return int16(e)
}

// checkForm reads the first byte, which names the form of the model, and refuses another form than want.
func (r *reader) checkForm(want byte) {
	switch b := r.readBytes(1); {
	case b != nil && b[0] > want:
		r.fail(fmt.Errorf("unknown form %d (this program reads form %d; a newer one may have written it)", b[0], want))
	case b != nil && b[0] < want:
		r.fail(fmt.Errorf("form %d of an older program (this one reads form %d, and makes its models again from the log)", b[0], want))
	}
}

// finishModel returns the parse's error, or one for bytes behind the model.
func (r *reader) finishModel(model string) error {
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
