package rest

import (
	"bytes"
	"sync"
)

// maxPooledBytes is the capacity above which a buffer is not kept: a poll of a few kilobytes would hold on to it.
const maxPooledBytes = 32 << 20

// writerPool holds writers whose text was sent, for reuse: an answer may be megabytes, which cost more to allocate
// and clear than to fill. The zero value is empty; it is safe for concurrent use.
type writerPool struct{ writers sync.Pool }

// getWriter returns a writer without text, with room for size bytes.
func (p *writerPool) getWriter(size int) *writer {
	w, _ := p.writers.Get().(*writer)
	if w == nil {
		w = &writer{pool: p}
	}
	if cap(w.Buf) < size {
		w.Buf = make([]byte, 0, size)
	}
	w.Buf, w.cluster = w.Buf[:0], ""
	return w
}

// pooledBody is the text of a writer while it is sent. The sender calls Close when it is sent, or will not be.
type pooledBody struct {
	bytes.Reader
	writer *writer
}

// Close returns the writer to the pool, unless it is huge.
func (s *pooledBody) Close() error {
	if cap(s.writer.Buf) > maxPooledBytes {
		return nil
	}
	s.writer.lastOrigin, s.writer.unusual = origin{}, nil // drop references to a view
	s.writer.pool.writers.Put(s.writer)
	return nil
}

// newWriter returns a writer of the items of the API's cluster.
func (a *API) newWriter(size int) *writer {
	w := a.writers.getWriter(size)
	w.cluster = a.cluster
	return w
}
