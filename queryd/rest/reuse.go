package rest

import (
	"bytes"
	"sync"
)

// mostKept is the size of a text from which its room is not kept: a poll that takes kilobytes would hold on to it.
const mostKept = 32 << 20

// writers are those whose text was sent, to write into again: an answer may be megabytes, which would cost more to
// get, and to clear, than to fill. Its zero value is empty; safe for concurrent use.
type writers struct{ pool sync.Pool }

// get gives a writer without text, with room for size bytes.
func (p *writers) get(size int) *writer {
	w, _ := p.pool.Get().(*writer)
	if w == nil {
		w = &writer{home: p}
	}
	if cap(w.Buf) < size {
		w.Buf = make([]byte, 0, size)
	}
	w.Buf = w.Buf[:0]
	return w
}

// sending is the text of a writer on its way. Whoever sends it calls Close when it is sent, or will not be.
type sending struct {
	bytes.Reader
	writer *writer
}

// Close gives the writer back, unless it is huge.
func (s *sending) Close() error {
	if cap(s.writer.Buf) > mostKept {
		return nil
	}
	s.writer.lastOrigin, s.writer.unusual = origin{}, nil // of a view that need not be kept
	s.writer.home.pool.Put(s.writer)
	return nil
}
