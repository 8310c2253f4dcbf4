package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Scratch is a file that its writer reads more than once. It is gone when it is closed, and when the process ends.
type Scratch struct{ boundedWriter }

// CreateScratch creates a scratch file if there is room for the expected bytes; 0 means unknown.
func (s *Spool) CreateScratch(expected int64) (*Scratch, error) {
	if err := s.checkRoom("", 0, expected); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(s.cfg.Dir, scratchPrefix+"*")
	if err != nil {
		return nil, writeError(err)
	}
	_ = os.Remove(file.Name()) // where an open file cannot be removed, Close does it
	return &Scratch{boundedWriter{spool: s, file: file}}, nil
}

// Fill writes all of src. An error of src is returned as it is, one of the disk as a WriteError.
func (s *Scratch) Fill(src io.Reader) (size int64, err error) {
	return io.CopyBuffer(&s.boundedWriter, src, make([]byte, 128<<10))
}

// Reader returns a reader of the file from its beginning.
func (s *Scratch) Reader() (io.Reader, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the spooled file again: %w", err)
	}
	return s.file, nil
}

// Close removes the file.
func (s *Scratch) Close() error {
	s.spool.releaseRoom("", 0, s.size)
	s.size = 0
	closed := s.file.Close()
	if err := os.Remove(s.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(closed, err)
	}
	return closed
}
