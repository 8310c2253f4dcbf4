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
	all     usage             // scratch files included
	owners  map[string]*usage // of the owners who have any, by id
	entries []*Upload
}

// usage is the room that drafts, uploads and scratch files take.
type usage struct {
	bytes   int64
	uploads int
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
	s := &Spool{cfg: cfg, owners: map[string]*usage{}, lock: flock.New(cfg.Dir, flock.SetFlag(os.O_RDONLY))}
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
	s.addUsageLocked(e.Owner.id(), 1, e.totalBytes())
	return nil
}

// Entries returns the uploads that an earlier process left, the oldest first.
func (s *Spool) Entries() []*Upload { return s.entries }

// Usage returns the number of uploads and the bytes in the spool.
func (s *Spool) Usage() (uploads int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.uploads, s.all.bytes
}

// checkRoom refuses uploads and bytes of an owner, "" for nobody, for which there is no room. One owner may take three quarters of
// the room, so that others find some.
func (s *Spool) checkRoom(owner string, uploads int, bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkRoomLocked(owner, uploads, bytes)
}

func (s *Spool) checkRoomLocked(owner string, uploads int, bytes int64) error {
	switch {
	case s.all.bytes+bytes > s.cfg.MaxBytes:
		return ErrBytes
	case uploads > 0 && s.all.uploads+uploads > s.cfg.Uploads:
		return ErrUploads
	}
	if own := s.owners[owner]; owner != "" && own != nil &&
		(own.uploads+uploads > max(s.cfg.Uploads*3/4, 1) || own.bytes+bytes > s.cfg.MaxBytes/4*3) {
		return ErrShare
	}
	return nil
}

// reserveRoom takes room for uploads, and for bytes that are about to be written.
func (s *Spool) reserveRoom(owner string, uploads int, bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkRoomLocked(owner, uploads, bytes); err != nil {
		return err
	}
	s.addUsageLocked(owner, uploads, bytes)
	return nil
}

func (s *Spool) releaseRoom(owner string, uploads int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addUsageLocked(owner, -uploads, -bytes)
}

// addUsageLocked adds to the usage of all, and of an owner.
func (s *Spool) addUsageLocked(owner string, uploads int, bytes int64) {
	s.all.uploads += uploads
	s.all.bytes += bytes
	if owner == "" {
		return
	}
	own := s.owners[owner]
	if own == nil {
		own = &usage{}
		s.owners[owner] = own
	}
	own.uploads += uploads
	own.bytes += bytes
	if *own == (usage{}) {
		delete(s.owners, owner)
	}
}

// boundedWriter writes to a file of the spool as long as there is room.
type boundedWriter struct {
	spool *Spool
	owner string // "" for nobody
	file  *os.File
	size  int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if err := b.spool.reserveRoom(b.owner, 0, int64(len(p))); err != nil {
		return 0, err
	}
	b.size += int64(len(p))
	n, err := b.file.Write(p)
	return n, writeError(err)
}
