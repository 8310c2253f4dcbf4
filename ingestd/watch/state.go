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

// progress is the shipped part of one file.
type progress struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"` // bytes shipped
	Line   int    `json:"line"`   // lines shipped
	Header string `json:"header"` // of later shipments

	// A rotation renames a file, so it is identified by the hash of its first HeadBytes bytes.
	HeadBytes int64  `json:"mark_bytes"`
	HeadHash  string `json:"mark"`
}

// maxHeadBytes bounds the hashed beginning of a file.
const maxHeadBytes = 16 << 10

// storedState is the state file's content.
type storedState struct {
	Version int         `json:"version"`
	Files   []*progress `json:"files"`
}

const stateVersion = 1

// loadState reads the state file; it is no error if the file does not exist.
func loadState(path string) ([]*progress, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state of the watch: %w", err)
	}
	var state storedState
	if err := json.Unmarshal(data, &state); err != nil || state.Version != stateVersion {
		return nil, fmt.Errorf("reading the state of the watch: %s is damaged or of another version (%d, %v); "+
			"remove it to ship all files from their beginning, which stores nothing twice", path, state.Version, err)
	}
	return state.Files, nil
}

// saveState replaces the state file atomically.
func saveState(path string, files []*progress) error {
	data, err := json.MarshalIndent(storedState{stateVersion, files}, "", "  ")
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("saving the state of the watch: %w", err)
	}
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temporary.Name()) // the earlier error is returned
		return fmt.Errorf("saving the state of the watch: %w", err)
	}
	return nil
}

// hashHead returns the hash of the first n bytes of a file; io.ErrUnexpectedEOF when it is shorter.
func hashHead(file io.ReaderAt, n int64) (string, error) {
	head := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(file, 0, n), head); err != nil {
		return "", io.ErrUnexpectedEOF
	}
	return fmt.Sprintf("%016x", xxh3.Hash(head)), nil
}

// matchesFile reports whether p is the progress of this file.
func (p *progress) matchesFile(file io.ReaderAt, size int64) bool {
	if size < p.Offset || p.HeadBytes == 0 {
		return false
	}
	got, err := hashHead(file, p.HeadBytes)
	return err == nil && got == p.HeadHash
}

// advanceTo records that a shipment is stored.
func (p *progress) advanceTo(file io.ReaderAt, s *shipment) error {
	p.Offset, p.Line, p.Header = s.end, s.lines, s.header
	p.HeadBytes = min(p.Offset, maxHeadBytes)
	var err error
	if p.HeadHash, err = hashHead(file, p.HeadBytes); err != nil {
		return fmt.Errorf("the file got shorter while it was shipped: %w", err)
	}
	return nil
}
