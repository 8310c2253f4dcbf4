package spool

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"telemetry-pipeline/events/goldentest"
)

func goldenManifests() map[string]Manifest {
	at := time.Date(2025, 7, 18, 20, 42, 35, 123456789, time.UTC)
	return map[string]Manifest{
		"manifest": {
			ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Log: "/telemetry/uploads/default-cluster/", ReceivedAt: at,
			Query: map[string]string{"tz": "Europe/Berlin", "host": "a<b"}, Warning: "part 3 was cut off", Files: []File{{"a.csv", 3}, {"", 0}},
		},
		"manifest-owner": {ID: "o", ReceivedAt: at, Owner: &Owner{ID: "team-a", Scope: "host=a-*,namespace=team-a"}},
		"manifest-bare":  {ID: "u", ReceivedAt: at},
	}
}

// TestStoredManifests spools uploads and compares the manifests on the disk; a manifest of an earlier version is read
// beside files of the sizes that it names.
func TestStoredManifests(t *testing.T) {
	for name, m := range goldenManifests() {
		dir := t.TempDir()
		s, err := Open(Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.BeginDraft(m.ID, m.Owner, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.Files {
			if _, err := d.AddFile(File{Name: f.Name}, bytes.NewReader(make([]byte, f.Size))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Commit(m); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "upload-"+string(m.ID), "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, string(text))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	goldentest.CheckReadable(t, "manifest", 1, goldenManifests(), func(text []byte) (Manifest, error) {
		s := &Spool{}
		for _, m := range goldenManifests() {
			dir := filepath.Join(t.TempDir(), "upload-"+string(m.ID))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return Manifest{}, err
			}
			for i, f := range m.Files {
				if err := os.WriteFile(filepath.Join(dir, string(rune('0'+i))), make([]byte, f.Size), 0o600); err != nil {
					return Manifest{}, err
				}
			}
			if e := s.newUpload(dir, text); e.Damage == nil {
				return e.Manifest, nil
			}
		}
		return Manifest{}, os.ErrInvalid
	})
}

// TestStoredRuns compares the file that counts the runs of an upload that ended without EndRun.
func TestStoredRuns(t *testing.T) {
	e := &Upload{dir: t.TempDir()}
	for range 12 {
		if _, err := e.BeginRun(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(e.dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	goldentest.CheckWrittenText(t, "runs", 1, string(text))
	goldentest.CheckReadable(t, "runs", 1, map[string]int{"runs": 12}, func(text []byte) (int, error) {
		e := &Upload{dir: t.TempDir()}
		if err := os.WriteFile(filepath.Join(e.dir, "runs"), text, 0o600); err != nil {
			return 0, err
		}
		return e.BeginRun()
	})
}
