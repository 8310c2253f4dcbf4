package upload

import (
	"errors"
	"io"
	"sync"
)

// content is a file on its way: exactly as many bytes as its size said when it was sent, whether it grows
// meanwhile or not. The transport reads it in a goroutine of its own.
type content struct {
	src  io.Reader
	left int64
	sent func(int64)

	mu  sync.Mutex
	err error // of reading the file
}

var errShrunk = errors.New("the file got shorter while it was sent; send it again")

func (c *content) Read(p []byte) (int, error) {
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

// failed is why the file could not be read.
func (c *content) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
