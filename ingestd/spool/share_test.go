package spool

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
)

// TestOneOwnerLeavesRoom: an owner takes three quarters of the uploads and bytes at most, also after a restart, and has room again
// when its uploads are gone.
func TestOneOwnerLeavesRoom(t *testing.T) {
	dir := t.TempDir()
	open := func() *Spool {
		s, err := Open(Config{Dir: dir, Uploads: 4, MaxBytes: 400})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	store := func(id, owner string, size int) (*Upload, error) {
		var by *Owner
		if owner != "" {
			by = &Owner{ID: owner, Scope: "*"}
		}
		d, err := s.BeginDraft(events.UploadID(id), by, 0)
		if err != nil {
			return nil, err
		}
		defer func() { _ = d.Discard() }()
		if _, err := d.AddFile(File{}, io.LimitReader(strings.NewReader(strings.Repeat("x", size)), int64(size))); err != nil {
			return nil, err
		}
		return d.Commit(Manifest{ID: events.UploadID(id), ReceivedAt: time.Now()})
	}
	var stored *Upload
	for _, id := range []string{"a1", "a2", "a3"} {
		u, err := store(id, "a", 10)
		if err != nil {
			t.Fatal(err)
		}
		stored = u
	}
	if _, err := store("a4", "a", 10); !errors.Is(err, ErrShare) {
		t.Errorf("a fourth upload of four: got %v", err)
	}
	if err := stored.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := store("a5", "a", 290); !errors.Is(err, ErrShare) {
		t.Errorf("more than three quarters of the bytes: got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	if _, err := store("a6", "a", 290); !errors.Is(err, ErrShare) {
		t.Errorf("more than three quarters of the bytes, after a restart: got %v", err)
	}
	if _, err := store("b1", "b", 290); err != nil {
		t.Errorf("another owner: %v", err)
	}
	if _, err := store("n1", "", 1); err != nil {
		t.Errorf("nobody: %v", err)
	}
	for _, e := range s.Entries() {
		if err := e.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if s.owners["a"] != nil || s.owners["b"] == nil {
		t.Errorf("the usage of owners is %v", s.owners)
	}
}
