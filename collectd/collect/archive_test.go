package collect

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/archivetest"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/projectionstest"
	"telemetry-pipeline/projections/snapshot"
)

// archived is a pipeline with an archive, whose log keeps next to nothing.
type archived struct {
	*pipeline
	cold         *archive.Store
	manifest     *manifest.Manifest
	reader       *manifest.Reader
	mergeEntries int // that are merged: as few as there may be, however many events one archiving takes
}

func newArchived(t *testing.T, address string) *archived {
	p := newPipeline(t)
	cold, err := archive.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cold.Close() })
	m := manifest.New(p.etcd, p.cfg, p.log.Facts())
	return &archived{p, cold, m, manifest.NewReader(p.log, cold, m), 2}
}

func archiveDir(t testing.TB) string {
	return (&url.URL{Scheme: "file", Path: t.TempDir()}).String()
}

// collect starts a collector that archives at once, and then deletes at once.
func (p *archived) collect(adjust ...func(*Collector)) *running {
	p.t.Helper()
	cfg := Config{
		Sharing:      partition.Config{DataDir: p.t.TempDir(), LeaseTTL: 3 * time.Second, JoinDebounce: 50 * time.Millisecond},
		PollInterval: 20 * time.Millisecond, RemovalGrace: time.Millisecond, UpgradeGrace: time.Millisecond,
		Archive: p.cold,
		Retain: retain.Config{
			ArchiveRecords: 60, ArchiveInterval: 100 * time.Millisecond, HotWindow: time.Millisecond, KeepReplaced: 50 * time.Millisecond,
			Grace: 50 * time.Millisecond, Pace: time.Microsecond, Look: 5 * time.Millisecond,
			MergeEntries: p.mergeEntries,
		},
	}
	c, err := openAs(cfg, p.cfg, p.log, snapshot.ModelVersion, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, a := range adjust {
		a(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Collector: c, t: p.t, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- c.Run(ctx) }()
	p.t.Cleanup(r.stop)
	return r
}

// keysLeft counts the keys with a prefix in etcd.
func (p *archived) keysLeft(prefix string) int64 {
	p.t.Helper()
	resp, err := p.etcd.Get(p.t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.Count
}

// awaitEmpty waits until all events and all history have left etcd.
func (p *archived) awaitEmpty() {
	p.t.Helper()
	awaitCondition(p.t, "everything has left etcd for the archive", func() bool {
		chunks, err := p.store.ChunkCount(p.t.Context())
		if err != nil {
			p.t.Fatal(err)
		}
		return p.keysLeft(p.cfg.Prefix("queue")) == 0 && chunks == 0
	})
}

// models reads live and identity of all hosts of a generation.
func (p *archived) models(g projections.Generation) map[events.HostID]string {
	p.t.Helper()
	all := map[events.HostID]string{}
	for part := range events.Partition(p.log.Facts().Partitions) {
		stored, err := p.store.LoadPartition(p.t.Context(), g, part)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, h := range stored.Hosts {
			all[h.ID] = string(projectionstest.LiveBytes(&h.Live)) + string(projections.AppendIdentity(nil, &h.Identity))
		}
	}
	return all
}

// events reads archive and log.
func (p *archived) events() (all []events.Event) {
	p.t.Helper()
	head, err := p.log.Head(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for part := range events.Partition(p.log.Facts().Partitions) {
		for ev, err := range p.reader.Read(p.t.Context(), part, events.Revision{}, head) {
			if err != nil {
				p.t.Fatal(err)
			}
			all = append(all, ev)
		}
	}
	return all
}

// history returns every record that queries find, by host and window: chunks in etcd and records in the archive. The
// archive is read through a reader that follows it, since objects are merged meanwhile.
func (p *archived) history(g projections.Generation) map[windowKey]*projections.HostWindow {
	p.t.Helper()
	all := map[windowKey]*projections.HostWindow{}
	add := func(host events.HostID, w projections.Window, s projections.HostWindow) {
		key := windowKey{host, w}
		if all[key] == nil {
			all[key] = &projections.HostWindow{}
		}
		all[key].Add(s)
	}
	head, err := p.log.Head(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for part := range events.Partition(p.log.Facts().Partitions) {
		for one, err := range p.store.HistoryAt(p.t.Context(), g, part, head.Number) {
			if err != nil {
				p.t.Fatal(err)
			}
			add(one.Host, one.Window, one.Series)
		}
		archived, err := p.manifest.Head(p.t.Context(), part)
		if err != nil {
			p.t.Fatal(err)
		}
		for ev, err := range p.reader.Read(p.t.Context(), part, events.Revision{}, archived.At) {
			if err != nil {
				p.t.Fatal(err)
			}
			blank := projections.Host{ID: ev.Host}
			effect := blank.Apply(&ev)
			for _, some := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
				for w, s := range some {
					add(ev.Host, w, s)
				}
			}
		}
	}
	return all
}

// checkSame compares models and history with a plain fold of events.
func (p *archived) checkSame(evs []events.Event) {
	p.t.Helper()
	awaitHead(p.t, p.log, p.store)
	g := p.generations().Active
	hosts, series := foldAll(evs)
	want := map[events.HostID]string{}
	for id, h := range hosts {
		want[id] = string(projectionstest.LiveBytes(&h.Live)) + string(projections.AppendIdentity(nil, &h.Identity))
	}
	if got := p.models(g); !maps.Equal(got, want) {
		p.t.Errorf("models of %d hosts differ from a plain fold, which gives %d", len(got), len(want))
	}
	got := p.history(g)
	for key, s := range series {
		if got[key] == nil || !bytes.Equal(projections.AppendHostWindow(nil, got[key]), projections.AppendHostWindow(nil, s)) {
			p.t.Errorf("history of %s in window %d differs from a plain fold", key.host, key.window)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		p.t.Errorf("history of %d windows that no event tells of", len(got))
	}
}

// The same file, uploaded again after its events were archived and deleted, changes no view, and merging drops the
// repeats.
func TestTheSameFileAgainAfterItWasArchivedChangesNoView(t *testing.T) {
	for name, address := range map[string]func(*testing.T) string{
		"file": func(t *testing.T) string { return archiveDir(t) },
		"s3":   func(t *testing.T) string { return archivetest.Gateway(t) },
	} {
		if testing.Short() && name == "s3" {
			continue // under the race detector one is enough
		}
		t.Run(name, func(t *testing.T) {
			p := newArchived(t, address(t))
			var evs []events.Event
			for h := range 2 {
				evs = append(evs, eventstest.Events(events.HostID(fmt.Sprint("h", h)), 0, 400)...)
			}
			p.collect()
			p.appendEvents(evs...)
			p.awaitEmpty()
			p.checkSame(evs)
			before := len(p.events())
			p.appendEvents(evs...)
			p.awaitEmpty()
			p.checkSame(evs)
			awaitCondition(t, "merging has dropped repeats", func() bool { return len(p.events()) < 2*before })
			p.checkSame(evs)
		})
	}
}

// A rebuild that starts while events are archived and deleted misses none.
func TestARebuildWhileEventsLeaveForTheArchiveMissesNone(t *testing.T) {
	t.Parallel()
	p := newArchived(t, archiveDir(t))
	first, second := p.collect(), p.collect()
	awaitCondition(t, "both are ready", func() bool { return first.Ready() == nil && second.Ready() == nil })
	var all []events.Event
	upload := func(from, n int) {
		for h := range 5 {
			evs := eventstest.Events(events.HostID(fmt.Sprint("up-", h)), from, n)
			p.appendEvents(evs...)
			all = append(all, evs...)
		}
	}
	for round := range 3 {
		upload(round*100, 50)
		awaitCondition(t, "some were archived and deleted", func() bool {
			part, err := p.manifest.LoadAll(t.Context())
			return err == nil && len(part) > 0
		})
		next := p.rebuild(snapshot.ModelVersion)
		for i := 0; p.generations().Active != next; i++ {
			if i < 25 {
				upload(round*100+50+2*i, 2)
			}
			wait.Sleep(t.Context(), 5*time.Millisecond)
		}
		p.checkSame(all)
	}
	second.kill()
	p.awaitEmpty()
	p.checkSame(all)
	p.awaitOnly(p.generations().Active)
}

// A rebuild brings back only hot history into etcd; archived cold history stays in the archive, also when the rebuild
// is interrupted.
func TestARebuildLeavesColdHistoryInTheArchive(t *testing.T) {
	t.Parallel()
	p := newArchived(t, archiveDir(t))
	c := p.collect()
	evs := eventstest.Events("h", 0, 300)
	p.appendEvents(evs...)
	p.awaitEmpty()
	c.stop()
	next := p.rebuild(snapshot.ModelVersion)
	for range 3 {
		c = p.collect()
		wait.Sleep(t.Context(), 300*time.Millisecond)
		c.kill()
	}
	c = p.collect()
	awaitCondition(t, "the new generation is active", func() bool { return p.generations().Active == next })
	p.checkSame(evs)
	if n := metricSum(t, c, "collect_chunks_total"); n > 0 {
		t.Errorf("the rebuild stored %v chunks of history that is archived", n)
	}
}
