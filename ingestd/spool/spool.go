package spool

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"
)

// Spool is an open directory. It is safe for use by several goroutines; a Draft, an Entry and a Scratch are
// each for one at a time.
type Spool struct {
	cfg  Config
	lock *flock.Flock

	mu      sync.Mutex
	bytes   int64 // of all files, scratch files included
	uploads int   // drafts and entries
	entries []*Upload
}

const (
	prefix        = "upload-" // of an upload's directory
	unfinished    = ".part"   // added to it until the upload is whole
	scratchPrefix = "scratch-"
)

// Open creates the directory where there is none, locks it for this process, removes incomplete uploads of an earlier
// process and finds its complete ones.
func Open(cfg Config) (*Spool, error) {
	cfg = cfg.WithDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the upload directory %s (flag upload-dir or UPLOAD_DIR): %w", cfg.Dir, err)
	}
	// The directory itself is locked, so that an empty spool leaves nothing in it.
	s := &Spool{cfg: cfg, lock: flock.New(cfg.Dir, flock.SetFlag(os.O_RDONLY))}
	held, err := s.lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("locking the upload directory %s (flag upload-dir or UPLOAD_DIR): %w", cfg.Dir, err)
	case !held:
		return nil, fmt.Errorf("opening %s: %w", cfg.Dir, ErrLocked)
	}
	if err := errors.Join(s.tryWriting(), s.scanDir()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close unlocks the directory for another process. Its contents stay.
func (s *Spool) Close() error { return s.lock.Unlock() }

// tryWriting returns an error now, and not with the first upload, if the directory takes no files.
func (s *Spool) tryWriting() error {
	probe, err := s.CreateScratch(0)
	if err != nil {
		return err
	}
	return probe.Close()
}

func (s *Spool) scanDir() error {
	names, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("reading the upload directory: %w", err)
	}
	var failed error
	for _, name := range names {
		failed = errors.Join(failed, s.adoptName(name.Name()))
	}
	slices.SortFunc(s.entries, func(a, b *Upload) int {
		return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), strings.Compare(string(a.ID), string(b.ID)))
	})
	return failed
}

// adoptName takes over the file or directory that an earlier process left under a name, or removes it if it is
// useless.
func (s *Spool) adoptName(name string) error {
	path := filepath.Join(s.cfg.Dir, name)
	switch {
	case strings.HasPrefix(name, scratchPrefix), strings.HasPrefix(name, prefix) && strings.HasSuffix(name, unfinished):
		return os.RemoveAll(path)
	case !strings.HasPrefix(name, prefix):
		return nil // not ours
	}
	e, err := s.loadUpload(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.RemoveAll(path) // it was being removed
	}
	if err != nil {
		return err
	}
	s.entries = append(s.entries, e)
	s.bytes += e.totalBytes()
	s.uploads++
	return nil
}

// Entries returns the uploads that an earlier process left, the oldest first.
func (s *Spool) Entries() []*Upload { return s.entries }

// Usage returns the number of uploads and the bytes in the spool.
func (s *Spool) Usage() (uploads int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads, s.bytes
}

// checkRoom refuses bytes early for which there will be no room.
func (s *Spool) checkRoom(bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+bytes > s.cfg.MaxBytes {
		return ErrBytes
	}
	return nil
}

// reserveBytes reserves room for bytes that are about to be written.
func (s *Spool) reserveBytes(bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+bytes > s.cfg.MaxBytes {
		return ErrBytes
	}
	s.bytes += bytes
	return nil
}

func (s *Spool) releaseRoom(uploads int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads -= uploads
	s.bytes -= bytes
}

// boundedWriter writes to a file of the spool as long as there is room.
type boundedWriter struct {
	spool *Spool
	file  *os.File
	size  int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if err := b.spool.reserveBytes(int64(len(p))); err != nil {
		return 0, err
	}
	b.size += int64(len(p))
	n, err := b.file.Write(p)
	return n, writeError(err)
}
