package ingest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/spool"
)

// spooled yields the files of an upload in the spool, and tells how the reading of them comes along.
type spooled struct {
	entry *spool.Entry
	tell  func(rows, bytes int64)

	at     int          // of the next file
	open   *os.File     // the last that was given
	before int64        // bytes of the files before that
	within atomic.Int64 // bytes read of it
	rows   int64        // of the files before it
	last   atomic.Int64 // rows of it
}

func (s *spooled) next() (*file, error) {
	s.close()
	if s.at == len(s.entry.Files) {
		return nil, io.EOF
	}
	at := s.at
	text, err := s.entry.Open(at)
	if err != nil {
		return nil, err
	}
	s.at, s.open = at+1, text
	f := newFile(s.entry.Files[at].Name, s.counted(text), nil)
	f.again = func() (io.ReadCloser, error) {
		text, err := s.entry.Open(at)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{s.counted(text), text}, nil
	}
	f.progress = func(rows int64) {
		s.last.Store(rows)
		s.tell(s.rows+rows, s.before+s.within.Load())
	}
	return f, nil
}

// counted counts the bytes of a file, from its beginning.
func (s *spooled) counted(text io.Reader) io.Reader {
	s.within.Store(0)
	return &counting{text, &s.within}
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (s *spooled) trouble() string { return s.entry.Trouble }

// close lets go of the file that was given last.
func (s *spooled) close() {
	if s.open == nil {
		return
	}
	_ = s.open.Close() // it was only read
	s.open = nil
	s.before += s.entry.Files[s.at-1].Size
	s.rows += s.last.Swap(0)
}

// spoolRefusal tells the sender what it means that the spool takes no more; errors of the sender pass.
func spoolRefusal(err error) error {
	_, disk := errors.AsType[*spool.WriteError](err)
	switch {
	case errors.Is(err, spool.ErrUploads):
		return refuse(fiber.StatusServiceUnavailable, codeSpoolBusy,
			"as many uploads as this server keeps are waiting to be processed; send it again later, or without async=true").after(10 * time.Second).because(err)
	case errors.Is(err, spool.ErrBytes):
		return refuse(fiber.StatusInsufficientStorage, codeSpoolFull,
			"the uploads that are waiting to be processed leave no room for this one; send it again later, or without async=true and strict=true").
			after(30 * time.Second).because(err)
	case errors.Is(err, spool.ErrDiskFull):
		return refuse(fiber.StatusInsufficientStorage, codeDiskFull,
			"the disk of the server's upload directory is full; its operator has to make room there, or point UPLOAD_DIR elsewhere; "+
				"uploads without async=true and strict=true do not need it").after(time.Minute).because(err)
	case disk:
		return noSpool(err)
	}
	return err
}

func noSpool(err error) error {
	return refuse(fiber.StatusServiceUnavailable, codeNoSpool,
		"the server's upload directory cannot be used (%v); uploads without async=true and strict=true do not need it", err).
		after(time.Minute).because(fmt.Errorf("upload directory: %w", err))
}
