package manifest

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"slices"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

const partitions = 4

// rig is a log, an archive and its manifest, with the events appended to a partition.
type rig struct {
	t        *testing.T
	cfg      eventlog.Config
	log      *eventlog.Log
	store    *archive.Store
	kv       *eventstest.KV // the client of the manifest
	manifest *Manifest
	p        events.Partition
	host     events.HostID
	owner    string // key whose existence is the guard
	guard    clientv3.Cmp

	mu       sync.Mutex
	appended map[string]bool // keys
}

func newRig(t *testing.T) *rig {
	cfg := eventstest.Config(t)
	cfg.Partitions = partitions
	r := &rig{t: t, cfg: cfg, log: eventstest.OpenLog(t, cfg), p: 2, owner: cfg.Key("owners", "g", "002"), appended: map[string]bool{}}
	r.store = openDir(t)
	r.host = eventstest.HostsOf(r.p, partitions, 1)[0]
	client := eventstest.Etcd(t)
	put, err := client.Put(t.Context(), r.owner, "me")
	if err != nil {
		t.Fatal(err)
	}
	r.guard = clientv3.Compare(clientv3.CreateRevision(r.owner), "=", put.Header.Revision)
	r.kv = &eventstest.KV{KV: client.KV}
	client.KV = r.kv
	r.manifest = New(client, cfg, r.log.Facts())
	return r
}

func openDir(t *testing.T) *archive.Store {
	t.Helper()
	s, err := archive.Open(t.Context(), (&url.URL{Scheme: "file", Path: t.TempDir()}).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (r *rig) appendEvents(from, n int) {
	r.t.Helper()
	for some := range slices.Chunk(eventstest.Events(r.host, from, n), 7) {
		all, err := r.log.Append(context.Background(), some)
		if err != nil {
			r.t.Fatal(err)
		}
		r.mu.Lock()
		for _, a := range all {
			r.appended[a.Key] = true
		}
		r.mu.Unlock()
	}
}

func (r *rig) readHead() events.Revision {
	r.t.Helper()
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return head
}

func (r *rig) loadPartition() Partition {
	r.t.Helper()
	p, err := r.manifest.Load(r.t.Context(), r.p)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// writeEntry writes at most n of the log's events after a partition's head as objects.
func (r *rig) writeEntry(p *Partition, n int) archive.Entry {
	r.t.Helper()
	upto := r.readHead()
	var evs []events.Event
	for ev, err := range r.log.Read(r.t.Context(), r.p, p.Head.At, upto) {
		if err != nil {
			r.t.Fatal(err)
		}
		if len(evs) >= n && ev.Revision != evs[len(evs)-1].Revision {
			upto = evs[len(evs)-1].Revision
			break
		}
		evs = append(evs, ev)
	}
	e, err := r.store.Write(r.t.Context(), archive.Range{Partition: r.p, After: p.Head.At, Upto: upto}, eventSeq(evs))
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func (r *rig) addEntry(p *Partition, n int) {
	r.t.Helper()
	if err := r.manifest.Add(r.t.Context(), p, r.writeEntry(p, n), r.guard); err != nil {
		r.t.Fatal(err)
	}
}

// mergeEntries replaces entries by one.
func (r *rig) mergeEntries(p *Partition, from, to int) error {
	r.t.Helper()
	var old []archive.Entry
	for _, e := range p.Entries[from:to] {
		old = append(old, e.Entry)
	}
	e, err := r.store.Merge(r.t.Context(), old)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.manifest.Replace(r.t.Context(), p, from, to, e, r.guard)
}

// deleteArchived deletes the events up to the head from the log.
func (r *rig) deleteArchived(p *Partition) {
	r.t.Helper()
	refs, _, err := r.log.List(r.t.Context(), events.Listing{Partition: r.p, HasPartition: true, Upto: p.Head.At, Limit: 10_000})
	if err == nil {
		_, err = r.log.Remove(r.t.Context(), refs, func(context.Context) bool { return true }, r.guard)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func eventSeq(evs []events.Event) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, ev := range evs {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// readKeys returns the keys of all events, and fails the test when they are out of order.
func (r *rig) readKeys(reader *Reader, after, upto events.Revision) (keys []string) {
	r.t.Helper()
	var last events.Event
	for ev, err := range reader.Read(r.t.Context(), r.p, after, upto) {
		if err != nil {
			r.t.Fatal(err)
		}
		if !ev.Revision.SameLog(upto) || ev.Revision.Number < last.Revision.Number || ev.Revision.Number <= after.Number || ev.Revision.Number > upto.Number {
			r.t.Fatalf("event at %s after one at %s, in the range after %s up to %s", ev.Revision, last.Revision, after, upto)
		}
		last = ev
		keys = append(keys, fmt.Sprint(ev.Key, ev.Damage != nil))
	}
	return keys
}
