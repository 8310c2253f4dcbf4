package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
)

// Upload is an upload that is whole on the disk.
type Upload struct {
	Manifest
	Damage error // why it cannot be processed; then only its ID is known. Nil as a rule

	spool *Spool
	dir   string
}

const (
	manifestName = "manifest.json"
	runsName     = "runs" // holds how many processes began a run of the upload since a run last ended in an orderly way
)

// loadUpload reads an upload back.
func (s *Spool) loadUpload(dir string) (*Upload, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, fmt.Errorf("reading a spooled upload: %w", err)
	}
	return s.newUpload(dir, text), nil
}

// newUpload returns the upload of a manifest. It is damaged if its files differ from the manifest.
func (s *Spool) newUpload(dir string, manifest []byte) *Upload {
	e := &Upload{spool: s, dir: dir}
	if e.Damage = e.parseManifest(manifest); e.Damage != nil {
		e.Manifest = Manifest{ID: events.UploadID(strings.TrimPrefix(filepath.Base(dir), prefix))}
	}
	return e
}

func (e *Upload) parseManifest(manifest []byte) error {
	if err := events.DecodeStoredJSON(manifest, &e.Manifest); err != nil {
		return fmt.Errorf("its manifest is damaged: %w", err)
	}
	if prefix+string(e.ID) != filepath.Base(e.dir) {
		return fmt.Errorf("its manifest belongs to upload %q", e.ID)
	}
	for i, f := range e.Files {
		if info, err := os.Stat(e.filePath(i)); err != nil || info.Size() != f.Size {
			return fmt.Errorf("its file %d (%q) does not have the %d bytes that were received", i, f.Name, f.Size)
		}
	}
	return nil
}

func (e *Upload) filePath(i int) string { return filepath.Join(e.dir, strconv.Itoa(i)) }

func (e *Upload) totalBytes() (bytes int64) {
	for _, f := range e.Files {
		bytes += f.Size
	}
	return bytes
}

// Size returns the bytes of the upload's files.
func (e *Upload) Size() int64 { return e.totalBytes() }

// OpenFile opens one of the upload's files for reading.
func (e *Upload) OpenFile(i int) (*os.File, error) {
	f, err := os.Open(e.filePath(i))
	if err != nil {
		return nil, fmt.Errorf("opening file %d of upload %s: %w", i, e.ID, err)
	}
	return f, nil
}

// BeginRun notes that a process begins to work on the upload, and returns how many began before it and ended without
// EndRun: they died of it, or during it.
func (e *Upload) BeginRun() (died int, err error) {
	path := filepath.Join(e.dir, runsName)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("reading how often upload %s was begun: %w", e.ID, err)
	}
	died, _ = strconv.Atoi(strings.TrimSpace(string(text))) // 0, or cut short by a crash: counted from here
	return died, writeError(os.WriteFile(path, []byte(strconv.Itoa(died+1)), 0o600))
}

// EndRun notes that the work on the upload has ended in an orderly way, and may begin again.
func (e *Upload) EndRun() error {
	if err := os.Remove(filepath.Join(e.dir, runsName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return writeError(err)
	}
	return nil
}

// Remove removes the upload from the disk: its manifest first, so that the rest is known to be useless after a crash.
func (e *Upload) Remove() error {
	if err := os.Remove(filepath.Join(e.dir, manifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing spooled upload %s: %w", e.ID, err)
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return fmt.Errorf("removing spooled upload %s: %w", e.ID, err)
	}
	if e.spool != nil {
		e.spool.releaseRoom(e.Owner.id(), 1, e.totalBytes())
		e.spool = nil
	}
	return nil
}
