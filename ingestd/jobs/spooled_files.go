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
	entry  *spool.Entry
	report func(rows, bytes int64)

	at     int          // of the next file
	open   *os.File     // the last that was given
	before int64        // bytes of the files before that
	within atomic.Int64 // bytes read of it
	rows   int64        // of the files before it
	last   atomic.Int64 // rows of it
}

func (s *spooledFiles) Next() (*intake.File, error) {
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
	f := intake.NewFile(s.entry.Files[at].Name, s.count(text), nil)
	f.Reopen = func() (io.ReadCloser, error) {
		text, err := s.entry.Open(at)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{s.count(text), text}, nil
	}
	f.Progress = func(rows int64) {
		s.last.Store(rows)
		s.report(s.rows+rows, s.before+s.within.Load())
	}
	return f, nil
}

// count counts the bytes of a file, from its beginning.
func (s *spooledFiles) count(text io.Reader) io.Reader {
	s.within.Store(0)
	return &countingReader{text, &s.within}
}

func (s *spooledFiles) Trouble() string { return s.entry.Trouble }

// close lets go of the file that was given last.
func (s *spooledFiles) close() {
	if s.open == nil {
		return
	}
	_ = s.open.Close() // it was only read
	s.open = nil
	s.before += s.entry.Files[s.at-1].Size
	s.rows += s.last.Swap(0)
}
