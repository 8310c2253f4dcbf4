package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/archivetest"
)

// TestDamageOnS3IsReported changes a byte of an object behind the back of a store that keeps a checksum of its own: reading
// it reports the damage, and writing the entry again repairs it.
func TestDamageOnS3IsReported(t *testing.T) {
	root := t.TempDir()
	s, err := archive.Open(t.Context(), archivetest.GatewayOver(t, root))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := readingEvents(300)
	e := writeMerged(t, s, all)
	o, _ := e.Object(archive.Records)
	path := filepath.Join(root, "archive", filepath.FromSlash(o.Name))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	err = s.Check(t.Context(), e)
	if damaged, ok := errors.AsType[*archive.DamagedError](err); !ok || damaged.Name != o.Name {
		t.Errorf("a check returned %v, want a DamagedError of %s", err, o.Name)
	}
	var read error
	for _, err := range s.Read(t.Context(), e, events.Revision{}) {
		read = err
	}
	if _, ok := errors.AsType[*archive.DamagedError](read); !ok {
		t.Errorf("reading returned %v, want a DamagedError", read)
	}
	writeMerged(t, s, all)
	if err := s.Check(t.Context(), e); err != nil {
		t.Errorf("written again: %v", err)
	}
}
