package transfer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
)

var gzipMagic = []byte{0x1f, 0x8b} // never written

// decompress returns the text of in, which may be compressed by gzip: no line of an export begins with its magic
// bytes.
func decompress(in io.Reader) (io.Reader, error) {
	begun := bufio.NewReader(in)
	if start, _ := begun.Peek(len(gzipMagic)); !bytes.Equal(start, gzipMagic) {
		return begun, nil // Read returns an error of Peek again
	}
	return gzip.NewReader(begun)
}
