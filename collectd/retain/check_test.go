package retain

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
)

func evictOp(cfg eventlog.Config) func(projections.Generation) clientv3.Op {
	return func(g projections.Generation) clientv3.Op { return partition.Evict(cfg, string(g)) }
}

// objectPath returns the file of an object in a directory.
func (r *rig) objectPath(name string) string {
	u, err := url.Parse(r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	return filepath.Join(u.Path, name)
}

func (r *rig) runCheck(c Check) (string, error) {
	var out strings.Builder
	err := c.Run(r.t.Context(), r.cfg, archive.Config{URL: r.url}, &out, nil)
	return out.String(), err
}

func TestCheckReportsAndRemovesOnlyOnRequest(t *testing.T) {
	r := newRig(t, small, true)
	r.appendEvents(eventstest.Events(r.host, 0, 60)...)
	r.runToIdle()
	if out, err := r.runCheck(Check{Deep: true}); err != nil || !strings.Contains(out, "0 objects of 0 B have no entry") {
		t.Errorf("a sound archive: %v\n%s", err, out)
	}
	// A writer that dies before it lists its object leaves such a file.
	stray := strings.Replace(r.loadManifest().Entries[0].Objects[0].Name, ".parquet", "0.parquet", 1)
	for _, age := range []time.Duration{0, 2 * time.Hour} {
		if err := os.WriteFile(r.objectPath(stray), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(r.objectPath(stray), time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
		if out, err := r.runCheck(Check{}); err != nil || !strings.Contains(out, stray+": no entry lists it (1 B") {
			t.Errorf("%s old: %v\n%s", age, err, out)
		}
		if _, err := os.Stat(r.objectPath(stray)); err != nil {
			t.Errorf("looking removed it: %v", err)
		}
		_, err := r.runCheck(Check{RemoveUnlisted: true})
		_, gone := os.Stat(r.objectPath(stray))
		if err != nil || (gone != nil) != (age > 0) {
			t.Errorf("%s old, asked to remove: %v, then %v", age, err, gone)
		}
	}
	if _, err := r.runCheck(Check{RemoveUnlisted: true, OlderThan: time.Minute}); !errors.Is(err, ErrSafeAge) {
		t.Errorf("what may be listed yet is to be removed: %v, want ErrSafeAge", err)
	}
	want := r.allRecords()
	object := r.loadManifest().Entries[0].Objects[0]
	content, err := os.ReadFile(r.objectPath(object.Name))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		deep    bool
		says    string
	}{
		"cut":     {content[:len(content)-1], false, "damaged: it has"},
		"changed": {append([]byte("X"), content[1:]...), true, "damaged: its SHA-256"},
		"missing": {nil, false, ": missing"},
	} {
		if err := os.Remove(r.objectPath(object.Name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if c.content != nil {
			if err := os.WriteFile(r.objectPath(object.Name), c.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := r.runCheck(Check{Deep: c.deep, RemoveUnlisted: true})
		if !errors.Is(err, ErrIncomplete) || !strings.Contains(out, object.Name+c.says) && !strings.Contains(out, object.Name+": "+c.says) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if err := os.WriteFile(r.objectPath(object.Name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := r.runCheck(Check{Deep: true}); err != nil || len(r.allRecords()) != len(want) {
		t.Errorf("restored from a copy: %v\n%s", err, out)
	}
	if err := (Check{}).Run(t.Context(), r.cfg, archive.Config{}, &strings.Builder{}, nil); !errors.Is(err, manifest.ErrNoArchive) {
		t.Errorf("without an archive: %v", err)
	}
}

func TestStatusCountsLogAndArchive(t *testing.T) {
	r := newRig(t, Config{ArchiveRecords: 24, ArchiveInterval: time.Nanosecond, HotWindow: time.Hour}, true)
	r.appendEvents(eventstest.Events(r.host, 0, 60)...)
	r.runToIdle()
	r.appendEvents(eventstest.Events(r.host, 60, 5)...)
	s, err := r.keeper.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := r.loadManifest()
	if s.Log.Events != 65 || s.Log.Chunks == 0 || s.Log.Oldest == nil || time.Since(*s.Log.Oldest) > time.Hour {
		t.Errorf("the log has %+v, want all 65 events: they are young", s.Log)
	}
	if a := s.Archive; a == nil || a.Events != 60 || a.Records != 120 || a.Entries != len(p.Entries) || a.Bytes == 0 || a.Oldest == nil || !a.Newest.After(*a.Oldest) {
		t.Errorf("the archive has %+v, want 60 events and 120 records in %d entries", a, len(p.Entries))
	}
	if s.Here.ArchivedEvents != 60 || s.Here.ArchivedRecords != 120 || s.Etcd.InUse == 0 || len(s.Partitions) != 1 || s.Partitions[0].Upto != p.Head.At.String() {
		t.Errorf("got %+v", s)
	}
}
