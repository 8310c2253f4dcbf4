package archive

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/compress"
	parquetzstd "github.com/parquet-go/parquet-go/compress/zstd"
)

// A page of numbers has the bytes that the library's own codec makes of it, at each level, so that equal rows stay equal objects; a larger
// page is read by it.
func TestPagesAreTheSameByTheLibrarysCodec(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, level := range []zstd.EncoderLevel{zstd.SpeedDefault, zstd.SpeedBetterCompression} {
		ours, err := newPageCodec(level)
		if err != nil {
			t.Fatal(err)
		}
		library := &parquetzstd.Codec{Level: level}
		for _, size := range []int{0, 100, 8 * valuePageRows, codecWindow} {
			page := randomPage(rng, size)
			if got, want := encodePage(t, ours, page), encodePage(t, library, page); !bytes.Equal(got, want) {
				t.Errorf("%v: a page of %d bytes is %d bytes, and by the library %d", level, size, len(got), len(want))
			}
		}
		large := randomPage(rng, 3*codecWindow)
		if got, err := library.Decode(nil, encodePage(t, ours, large)); err != nil || !bytes.Equal(got, large) {
			t.Errorf("%v: a page of %d bytes is read as %d others, %v", level, len(large), len(got), err)
		}
	}
}

func encodePage(t *testing.T, c compress.Codec, page []byte) []byte {
	t.Helper()
	out, err := c.Encode(nil, page)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// randomPage returns numbers that rise slowly, and so compress.
func randomPage(rng *rand.Rand, size int) []byte {
	page := make([]byte, 0, size)
	for at := uint64(0); len(page) < size; at += rng.Uint64N(4) * 1000 {
		page = binary.LittleEndian.AppendUint64(page, at)
	}
	return page[:size]
}
