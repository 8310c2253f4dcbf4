package join

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

const partitions = 8

// rig is a cluster with a log, an archive and views that are always current, unless a test says otherwise.
type rig struct {
	*eventlog.Log
	cfg      eventlog.Config
	manifest *manifest.Manifest
	store    *archive.Store
	reader   *manifest.Reader

	beforeAppend func(evs []events.Event) // nil: nothing
	afterAppend  func(evs []events.Event) error
	capacity     func() eventlog.Capacity // nil: the log's own
	waitVisible  func(ctx context.Context, upto map[events.Partition]events.Revision) error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	cfg := eventstest.Config(t)
	cfg.Partitions = partitions
	r := &rig{Log: eventstest.OpenLog(t, cfg), cfg: cfg}
	r.manifest = manifest.New(eventstest.Etcd(t), cfg, r.Facts())
	var err error
	if r.store, err = archive.Open(t.Context(), "file://"+filepath.ToSlash(t.TempDir())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.store.Close() })
	r.reader = manifest.NewReader(r.Log, r.store, r.manifest)
	return r
}

// Append is the log's, between the hooks.
func (r *rig) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	if r.beforeAppend != nil {
		r.beforeAppend(evs)
	}
	appended, err := r.Log.Append(ctx, evs)
	if err == nil && r.afterAppend != nil {
		err = r.afterAppend(evs)
	}
	return appended, err
}

func (r *rig) Capacity(ctx context.Context) (eventlog.Capacity, error) {
	if r.capacity != nil {
		return r.capacity(), nil
	}
	return r.Log.Capacity(ctx)
}

func (r *rig) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	if r.waitVisible != nil {
		return r.waitVisible(ctx, upto)
	}
	return ctx.Err()
}

func (r *rig) cluster() Cluster { return Cluster{All: r.reader, Log: r, Views: r} }

func (r *rig) put(t *testing.T, evs ...events.Event) {
	t.Helper()
	if _, err := r.Log.Append(t.Context(), evs); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) join(t *testing.T, node string, hosts ...string) Result {
	t.Helper()
	got, err := Run(t.Context(), Config{Hosts: hosts, Node: node}, r.cluster(), t.Output(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// stored returns every event, by the last part of its key.
func (r *rig) stored(t *testing.T) map[string]events.Event {
	t.Helper()
	head, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]events.Event{}
	for p := range events.Partition(partitions) {
		for ev, err := range r.reader.Read(t.Context(), p, events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(ev.Key)] = ev
		}
	}
	return all
}

// keys returns the events of a host but its joins, sorted by the last part of the key.
func (r *rig) keys(t *testing.T, host events.HostID) []string {
	t.Helper()
	all := r.stored(t)
	maps.DeleteFunc(all, func(_ string, ev events.Event) bool {
		_, joins := ev.Join()
		return ev.Host != host || joins
	})
	return slices.Sorted(maps.Keys(all))
}

// joins returns the joins of a host by time.
func (r *rig) joins(t *testing.T, host events.HostID) []events.Join {
	t.Helper()
	var all []events.Join
	for _, ev := range r.stored(t) {
		if join, found := ev.Join(); found && ev.Host == host {
			all = append(all, join)
		}
	}
	slices.SortFunc(all, func(a, b events.Join) int { return int(a.At - b.At) })
	return all
}

// records returns the records of a host as sorted texts without the host, each once.
func (r *rig) records(t *testing.T, host events.HostID) []string {
	t.Helper()
	var all []string
	for _, ev := range r.stored(t) {
		if ev.Host != host {
			continue
		}
		for _, c := range ev.Columns {
			for at, v := range c.All() {
				if c.Metric != events.HostJoined {
					all = append(all, fmt.Sprintf("%+v %s %s %s %+v %s %s", ev.Identities[c.Identity], c.Metric, c.Source, at, v, ev.Zone, ev.Upload))
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// archiveAll moves all events up to now to the archive, merged, and deletes them from the log.
func (r *rig) archiveAll(t *testing.T) {
	t.Helper()
	for p := range events.Partition(partitions) {
		r.archivePartition(t, p)
	}
}

// archivePartition is archiveAll for one partition.
func (r *rig) archivePartition(t *testing.T, p events.Partition) {
	t.Helper()
	head, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	part, err := r.manifest.Load(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	from := part.Head.At
	entry, err := r.store.Write(t.Context(), archive.Range{Partition: p, After: from, Upto: head}, r.Log.Read(t.Context(), p, from, head))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.manifest.Add(t.Context(), &part, entry); err != nil {
		t.Fatal(err)
	}
	var all []archive.Entry
	for _, e := range part.Entries {
		all = append(all, e.Entry)
	}
	merged, err := r.store.Merge(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.manifest.Replace(t.Context(), &part, 0, len(all), merged); err != nil {
		t.Fatal(err)
	}
	for ev, err := range r.Log.Read(t.Context(), p, events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eventstest.Etcd(t).Delete(t.Context(), ev.Key); err != nil {
			t.Fatal(err)
		}
	}
}

// loggedEvents returns the number of events in etcd.
func (r *rig) loggedEvents(t *testing.T) int {
	t.Helper()
	head, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for p := range events.Partition(partitions) {
		for _, err := range r.Log.Read(t.Context(), p, events.Revision{}, head) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	return n
}

// hostIn returns a host of a partition.
func hostIn(p events.Partition) events.HostID { return eventstest.HostsOf(p, partitions, 1)[0] }
