package transfer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
)

var gzipBegins = []byte{0x1f, 0x8b} // never written

// unpacked gives the text of in, which may be packed by gzip: no line of an export begins like that.
func unpacked(in io.Reader) (io.Reader, error) {
	begun := bufio.NewReader(in)
	if start, _ := begun.Peek(len(gzipBegins)); !bytes.Equal(start, gzipBegins) {
		return begun, nil // an error of Peek comes again when it is read
	}
	return gzip.NewReader(begun)
}
