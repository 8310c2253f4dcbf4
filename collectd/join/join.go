package join

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/filter"
)

// reader reads the archive and the log as if all were in the log (manifest.Reader).
type reader interface {
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
}

// appender is the log (eventlog.Log). A nil error of Append means that every event is durable.
type appender interface {
	Facts() events.Facts
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
	Capacity(ctx context.Context) (eventlog.Capacity, error)
}

// views blocks until the collectors have folded partitions up to positions (snapshot.Store), or ctx ends.
type views interface {
	WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error
}

// Cluster is the cluster in which hosts are joined.
type Cluster struct {
	All   reader
	Log   appender
	Views views
}

// Result counts the outcome of a join.
type Result struct {
	Hosts    int // that match
	Marked   int // that have a new event which says that they are joined
	Events   int // that the node did not have; with DryRun, that it does not have
	Records  int // of these
	Existing int // events of the hosts that the node has had before
	Damaged  int // events of the hosts that cannot be used, and were left out
}

// Run joins hosts to their node. It reports its progress to progress, and the result, a line per host, to out. After an
// error or an interruption it can be run again.
func Run(ctx context.Context, cfg Config, in Cluster, out, progress io.Writer) (Result, error) {
	return newRun(cfg, in, out, progress).joinHosts(ctx)
}

// run is a join under way. One goroutine uses it.
type run struct {
	Cluster
	cfg      Config
	node     events.HostID
	selected filter.Filter
	out      io.Writer
	progress io.Writer
	hosts    map[events.HostID]*host
	pending  batch

	maxIDs     int           // sequences in memory
	maxBatch   int           // events in a batch
	pause      time.Duration // between two looks at etcd's size
	noticeSpan time.Duration // of a wait for the collectors after which it is reported
	reportedAt time.Time
}

// host is a host that is joined.
type host struct {
	last    *events.Join // its newest join so far; nil: none
	joined  events.Revision
	total   int // its events, without damaged ones and joins
	damaged int
	created int // events of it that were appended to the node's
	records int // of these
	newest  events.Timestamp
}

const (
	maxIDs       = 1 << 20
	batchEvents  = 256
	batchRecords = 200_000
	roomPause    = 5 * time.Second
	noticeSpan   = 10 * time.Second
)

func newRun(cfg Config, in Cluster, out, progress io.Writer) *run {
	return &run{
		Cluster: in, cfg: cfg, node: events.HostID(cfg.Node), selected: filter.Filter{Hosts: cfg.Hosts}, out: out, progress: progress,
		hosts: map[events.HostID]*host{}, maxIDs: maxIDs, maxBatch: batchEvents, pause: roomPause, noticeSpan: noticeSpan, reportedAt: time.Now(),
	}
}

func (r *run) joinHosts(ctx context.Context) (Result, error) {
	if err := r.cfg.Check(); err != nil {
		return Result{}, err
	}
	head, err := r.All.Head(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := r.findHosts(ctx, head); err != nil {
		return Result{}, err
	}
	if err := r.copyEvents(ctx, events.Revision{}, head); err != nil {
		return Result{}, r.resumable(err)
	}
	marked := 0
	if !r.cfg.DryRun {
		at, err := r.appendJoins(ctx, head)
		if err == nil && len(at) > 0 {
			marked = len(at)
			err = r.copyEvents(ctx, head, slices.MaxFunc(at, compareRevisions))
		}
		if err != nil {
			return Result{}, r.resumable(err)
		}
	}
	return r.printResult(marked), nil
}

func compareRevisions(a, b events.Revision) int { return cmp.Compare(a.Number, b.Number) }

func (r *run) resumable(err error) error {
	return fmt.Errorf("joining hosts to %s (what is joined stays; run it again): %w", r.node, err)
}

// appendJoins appends, for each host that needs it, the event that says that it is joined up to head, and returns their
// positions. A host that is joined and has had no records since needs none, nor does one without records.
func (r *run) appendJoins(ctx context.Context, head events.Revision) ([]events.Revision, error) {
	var evs []events.Event
	now := events.TimestampOf(time.Now())
	for _, name := range slices.Sorted(maps.Keys(r.hosts)) {
		h := r.hosts[name]
		if h.total == 0 || h.last != nil && h.created == 0 && h.newest <= h.last.At {
			continue
		}
		evs = append(evs, events.Join{Node: r.node, At: max(now, h.newest), Upto: head}.Event(name))
	}
	if len(evs) == 0 {
		return nil, nil
	}
	appended, err := r.appendFolded(ctx, evs)
	at := make([]events.Revision, len(appended))
	for i, a := range appended {
		at[i] = a.Revision
	}
	return at, err
}

func (r *run) printResult(marked int) Result {
	result := Result{Hosts: len(r.hosts), Marked: marked}
	verb, appended := "joined", "appended"
	if r.cfg.DryRun {
		verb, appended = "would join", "to append"
	}
	for _, name := range slices.Sorted(maps.Keys(r.hosts)) {
		h := r.hosts[name]
		result.Events += h.created
		result.Records += h.records
		result.Existing += h.total - h.created
		result.Damaged += h.damaged
		fmt.Fprintf(r.out, "%s %s to %s: %d events with %d records %s, %d there already\n", verb, name, r.node, h.created, h.records, appended, h.total-h.created)
	}
	fmt.Fprintf(r.out, "%s %d hosts to %s: %d events with %d records %s, %d there already\n",
		verb, result.Hosts, r.node, result.Events, result.Records, appended, result.Existing)
	if result.Damaged > 0 {
		fmt.Fprintf(r.out, "%d events are damaged, and were left out\n", result.Damaged)
	}
	return result
}

// reportSometimes writes a line of progress if the last one is two seconds old.
func (r *run) reportSometimes(format string, args ...any) {
	if time.Since(r.reportedAt) >= 2*time.Second {
		r.reportedAt = time.Now()
		fmt.Fprintf(r.progress, format+"\n", args...)
	}
}
