// Package pipelinetest holds logs and files for tests of the way of a row from an upload to the log. It never starts a
// server.
package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// Recorder is a log in memory that can be down, hold appends back and be full. As the projector it sees
// everything as folded, but for a host called never-folded.
type Recorder struct {
	*eventstest.MemoryLog

	mu   sync.Mutex
	held chan struct{} // while not nil, appends wait for it to be closed

	capacity    eventlog.Capacity
	capacityErr error // the error of Capacity
	quarantine  []snapshot.Quarantined
	stalled     bool          // nothing is folded
	changed     chan struct{} // closed and replaced when stalled is changed
}

// NewRecorder returns a recorder that cuts early, so that small files make many events.
func NewRecorder() *Recorder {
	return NewRecorderOf(events.CutRules{EventRecords: 50, OpenRecords: 300})
}

// NewRecorderOf returns a recorder whose events are cut by rules.
func NewRecorderOf(rules events.CutRules) *Recorder {
	return &Recorder{MemoryLog: eventstest.NewLog(events.Facts{Cut: rules}), changed: make(chan struct{})}
}

// Append appends, or waits or fails as the test demands.
func (r *Recorder) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	r.mu.Lock()
	hold := r.held
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return r.MemoryLog.Append(ctx, evs)
}

// WatchFolded yields that everything is folded, except while stalled.
func (r *Recorder) WatchFolded(ctx context.Context) iter.Seq2[map[events.Partition]events.Revision, error] {
	return func(yield func(map[events.Partition]events.Revision, error) bool) {
		for {
			r.mu.Lock()
			stalled, changed := r.stalled, r.changed
			r.mu.Unlock()
			if !stalled {
				all := map[events.Partition]events.Revision{}
				for p := range r.Facts().Partitions {
					all[events.Partition(p)] = events.Revision{Number: math.MaxInt64}
				}
				if !yield(all, nil) {
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(nil, context.Cause(ctx))
				return
			}
		}
	}
}

// Capacity returns the values of SetCapacity.
func (r *Recorder) Capacity(context.Context) (eventlog.Capacity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.capacity, r.capacityErr
}

// SetCapacity sets the result of Capacity.
func (r *Recorder) SetCapacity(c eventlog.Capacity, unheard error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.capacity, r.capacityErr = c, unheard
}

// WaitVisible returns at once, but for the host never-folded.
func (r *Recorder) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	if _, waits := upto[events.PartitionOf("never-folded", r.Facts().Partitions)]; waits {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

// Quarantine puts entries into the quarantine.
func (r *Recorder) Quarantine(entries ...snapshot.Quarantined) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quarantine = append(r.quarantine, entries...)
}

// QuarantinedOf returns the entries that Quarantine has put into partitions of the filter, regardless of their upload.
func (r *Recorder) QuarantinedOf(_ context.Context, f snapshot.UploadFilter) (found snapshot.UploadQuarantine, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.quarantine {
		switch _, there := f.Spans[q.Partition]; {
		case !there:
		case q.ID.IsSummary():
			found.Summaries = append(found.Summaries, q)
		default:
			found.Events++
			found.Records += q.Records
			found.Shown = append(found.Shown, q)
		}
	}
	return found, nil
}

// Host returns the models of a host, folded from all its events.
func (r *Recorder) Host(ctx context.Context, host events.HostID) (projections.Host, error) {
	h := projections.Host{ID: host}
	head, err := r.Head(ctx)
	if err != nil {
		return h, err
	}
	for ev, err := range r.Read(ctx, events.PartitionOf(host, r.Facts().Partitions), events.Revision{}, head) {
		if err != nil {
			return projections.Host{}, err
		}
		if ev.Host == host {
			h.Apply(&ev)
		}
	}
	return h, nil
}

// ReadHost is Host for readers that go on without models.
func (r *Recorder) ReadHost(ctx context.Context, host events.HostID) projections.Host {
	h, err := r.Host(ctx, host)
	if err != nil {
		return projections.Host{}
	}
	return h
}

// StoredEvents returns the events of the log by key, without everything that is not content.
func (r *Recorder) StoredEvents(t testing.TB) map[string]events.Event {
	t.Helper()
	return StoredIn(t, r.MemoryLog)
}

// StoredIn returns the events of any log as StoredEvents does.
func StoredIn(t testing.TB, log eventstest.Log) map[string]events.Event {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]events.Event{}
	for p := range log.Facts().Partitions {
		for e, err := range log.Read(t.Context(), events.Partition(p), events.Revision{}, head) {
			if err = errors.Join(err, e.Damage); err != nil {
				t.Fatal(err)
			}
			key := e.Key
			e.Upload, e.AppendedAt, e.Revision, e.Key = "", 0, events.Revision{}, ""
			all[key] = e
		}
	}
	return all
}

// ErrDown is the error of appends while the log is down.
var ErrDown = errors.New("the log is down")

// SetDown makes appends fail, or not.
func (r *Recorder) SetDown(down bool) {
	if down {
		r.Fail(func(string) error { return ErrDown }, nil)
	} else {
		r.Fail(nil, nil)
	}
}

// HoldAppends makes appends wait until the function that it returns is called.
func (r *Recorder) HoldAppends() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	hold := make(chan struct{})
	r.held = hold
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held = nil
		close(hold)
	})
}

// SetStalled makes the recorder report, or not, that everything is folded.
func (r *Recorder) SetStalled(stalled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled = stalled
	close(r.changed)
	r.changed = make(chan struct{})
}

// DCGMHeader is the header of a DCGM long file.
const DCGMHeader = "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"

// DCGMFile returns a DCGM long file of a number of rows, spread over hosts.
func DCGMFile(rows, hosts int) []byte {
	var b bytes.Buffer
	b.WriteString(DCGMHeader)
	for i := range rows {
		host := i % hosts
		fmt.Fprintf(&b, `"2025-07-18T20:%02d:%02dZ","DCGM_FI_DEV_GPU_UTIL","%d","nvidia0","GPU-%04d-%d","H100","host-%d","","","","%d",""`+"\n",
			i/60%60, i%60, i%8, host, i%8, host, i%101)
	}
	return b.Bytes()
}

// PanickingLog panics where it is called: Append in a goroutine of the pipeline, WaitVisible in the handler's.
type PanickingLog struct{ *Recorder }

// Append panics.
func (PanickingLog) Append(context.Context, []events.Event) ([]eventlog.Appended, error) {
	panic("secret of the log")
}

// QuarantinedOf returns nothing.
func (PanickingLog) QuarantinedOf(context.Context, snapshot.UploadFilter) (snapshot.UploadQuarantine, error) {
	return snapshot.UploadQuarantine{}, nil
}

// WaitVisible panics.
func (PanickingLog) WaitVisible(context.Context, map[events.Partition]events.Revision) error {
	panic("secret of the projections")
}

// EndlessFile yields a header and then rows until so many bytes were read.
type EndlessFile struct {
	Block []byte
	Left  int64
	at    int
}

// Read yields rows.
func (e *EndlessFile) Read(p []byte) (int, error) {
	if e.Left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, e.Block[e.at:])
	if e.at += n; e.at == len(e.Block) {
		e.at = len(DCGMHeader) // rows only, from now on
	}
	e.Left -= int64(n)
	return n, nil
}

// DiscardingLog is a log that keeps nothing.
type DiscardingLog struct{ *Recorder }

// Append keeps nothing.
func (f DiscardingLog) Append(_ context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	return make([]eventlog.Appended, len(evs)), nil
}

// PeakHeap returns the largest heap seen while do runs.
func PeakHeap(do func()) (peak uint64) {
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	do()
	close(done)
	<-watched
	return peak
}
