package archive

import (
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"
	parquetzstd "github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	codecWindow  = 1 << 20 // bytes: no page of numbers is larger, only pages of long texts are
	codecsAtOnce = 4       // pages that a codec compresses at a time, at most
)

// pageCodec compresses pages, with few encoders for all writers of a Store. The codec that it stands in for makes encoders with a window of
// 8 MiB, at 16 to 20 MB each, and makes new ones after a garbage collection. Pages up to codecWindow are the same bytes by both.
type pageCodec struct {
	*parquetzstd.Codec
	encoder *zstd.Encoder
}

func newPageCodec(level zstd.EncoderLevel) (*pageCodec, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(min(runtime.GOMAXPROCS(0), codecsAtOnce)),
		zstd.WithWindowSize(codecWindow),
		zstd.WithLowerEncoderMem(true),
		zstd.WithZeroFrames(true),
		zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("making the codec of pages: %w", err)
	}
	return &pageCodec{&parquetzstd.Codec{Level: level}, encoder}, nil
}

// Encode returns the compressed form of src, in dst if it has room.
func (c *pageCodec) Encode(dst, src []byte) ([]byte, error) {
	return c.encoder.EncodeAll(src, dst[:0]), nil
}
