package upload

import (
	"errors"
	"io"
	"sync"
)

// fileBody reads exactly as many bytes as the file had when it was opened, even if it grows meanwhile. The transport
// reads it in its own goroutine.
type fileBody struct {
	src  io.Reader
	left int64
	sent func(int64)

	mu  sync.Mutex
	err error // from reading the file
}

var errShrunk = errors.New("the file got shorter while it was sent; send it again")

func (c *fileBody) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.src.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if n > 0 && c.sent != nil {
		c.sent(int64(n))
	}
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = errShrunk
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return n, err
}

// readError returns the error that ended the reading of the file.
func (c *fileBody) readError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
