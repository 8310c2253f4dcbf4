package jobs

import (
	"io"
	"os"
	"sync/atomic"

	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/spool"
)

// spooledFiles yields the files of an upload in the spool, and reports the progress of reading them.
type spooledFiles struct {
	entry  *spool.Upload
	report func(rows, bytes int64)

	next        int          // of the next file
	current     *os.File     // the file returned last
	bytesBefore int64        // bytes of the files before that
	bytesRead   atomic.Int64 // bytes read of it
	rowsBefore  int64        // of the files before it
	rowsRead    atomic.Int64 // rows of it
}

func (s *spooledFiles) NextFile() (*intake.File, error) {
	s.closeCurrent()
	if s.next == len(s.entry.Files) {
		return nil, io.EOF
	}
	at := s.next
	text, err := s.entry.OpenFile(at)
	if err != nil {
		return nil, err
	}
	s.next, s.current = at+1, text
	f := intake.NewFile(s.entry.Files[at].Name, s.countBytes(text), nil)
	f.Reopen = func() (io.ReadCloser, error) {
		text, err := s.entry.OpenFile(at)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{s.countBytes(text), text}, nil
	}
	f.Progress = func(rows int64) {
		s.rowsRead.Store(rows)
		s.report(s.rowsBefore+rows, s.bytesBefore+s.bytesRead.Load())
	}
	return f, nil
}

// countBytes counts the bytes of a file, from its beginning.
func (s *spooledFiles) countBytes(text io.Reader) io.Reader {
	s.bytesRead.Store(0)
	return &countingReader{text, &s.bytesRead}
}

func (s *spooledFiles) Warning() string { return s.entry.Warning }

// closeCurrent closes the file that was returned last.
func (s *spooledFiles) closeCurrent() {
	if s.current == nil {
		return
	}
	_ = s.current.Close() // it was only read
	s.current = nil
	s.bytesBefore += s.entry.Files[s.next-1].Size
	s.rowsBefore += s.rowsRead.Swap(0)
}
