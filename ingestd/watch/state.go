package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"
)

// progress is how much of one file is shipped.
type progress struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"` // bytes shipped
	Line   int    `json:"line"`   // lines shipped
	Header string `json:"header"` // that later shipments begin with

	// A file is known by how it begins, since a rotation renames it.
	MarkBytes int64  `json:"mark_bytes"`
	Mark      string `json:"mark"`
}

// markLimit is how much of a file's beginning it is known by.
const markLimit = 16 << 10

// remembered is the state as it is on disk.
type remembered struct {
	Version int         `json:"version"`
	Files   []*progress `json:"files"`
}

const stateVersion = 1

// load reads the state; that there is none yet is no error.
func load(path string) ([]*progress, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is shipped already: %w", err)
	}
	var state remembered
	if err := json.Unmarshal(data, &state); err != nil || state.Version != stateVersion {
		return nil, fmt.Errorf("reading what is shipped already: %s is damaged or of another version (%d, %v); "+
			"remove it to ship all files from their beginning, which doubles nothing", path, state.Version, err)
	}
	return state.Files, nil
}

// save replaces the state in one step.
func save(path string, files []*progress) error {
	data, err := json.MarshalIndent(remembered{stateVersion, files}, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("remembering what is shipped: %w", err)
	}
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name()) // the error before it is the one to return
		return fmt.Errorf("remembering what is shipped: %w", err)
	}
	return nil
}

// mark gives the hash of the first n bytes of a file; io.ErrUnexpectedEOF when it is shorter.
func mark(file io.ReaderAt, n int64) (string, error) {
	head := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, n), head); err != nil {
		return "", io.ErrUnexpectedEOF
	}
	return fmt.Sprintf("%016x", xxh3.Hash(head)), nil
}

// isOf tells whether p is about this file.
func (p *progress) isOf(file io.ReaderAt, size int64) bool {
	if size < p.Offset || p.MarkBytes == 0 {
		return false
	}
	got, err := mark(file, p.MarkBytes)
	return err == nil && got == p.Mark
}

// advance notes that a shipment is stored.
func (p *progress) advance(file io.ReaderAt, s *shipment) error {
	p.Offset, p.Line, p.Header = s.end, s.lines, s.header
	p.MarkBytes = min(p.Offset, markLimit)
	var err error
	if p.Mark, err = mark(file, p.MarkBytes); err != nil {
		return fmt.Errorf("the file got shorter while it was shipped: %w", err)
	}
	return nil
}
