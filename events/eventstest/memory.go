package eventstest

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/trace"
)

// Log is the interface common to the log in etcd and the one in memory; *eventlog.Log documents the methods.
type Log interface {
	Facts() events.Facts
	Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error)
	Head(ctx context.Context) (events.Revision, error)
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
	Watch(ctx context.Context, p events.Partition, after events.Revision) iter.Seq2[eventlog.Batch, error]
}

var (
	_ Log = (*eventlog.Log)(nil)
	_ Log = (*MemoryLog)(nil)
)

// The bounds of one revision, as in etcd.
const (
	txnEvents = 64
	txnBytes  = 256 << 10
)

// MemoryLog is a log in memory. It keeps encoded events, returns copies, and has the difficult properties of etcd:
// revisions that other writers advance, compaction, watches that end. It needs no closing and, apart from a Watch's reader,
// no goroutine. Safe for concurrent use.
type MemoryLog struct {
	facts events.Facts
	codec *events.Codec

	mu        sync.Mutex
	head      int64
	compacted int64                 // history before this revision is gone
	keys      map[string]*storedPut // the present keys
	history   []storedPut           // all puts since compacted, in order of revision
	watchers  map[*watcher]bool
	bound     int // of a watcher's queue, in bytes
	before    func(call string) error
	after     func(call string) error
}

// storedPut is one put.
type storedPut struct {
	key         string
	value       []byte
	create, mod int64
}

// NewLog returns an empty log with the given facts; zero fields become defaults.
func NewLog(facts events.Facts) *MemoryLog {
	codec, err := events.NewCodec()
	if err != nil {
		panic(err) // it allocates tables and reads no input
	}
	facts.Epoch = cmp.Or(facts.Epoch, 1)
	facts.Cluster = cmp.Or(facts.Cluster, 1)
	facts.Partitions = cmp.Or(facts.Partitions, eventlog.DefaultPartitions)
	facts.PartitionHash = cmp.Or(facts.PartitionHash, "xxh3")
	facts.Cut = facts.Cut.WithDefaults()
	return &MemoryLog{
		facts: facts, codec: codec, head: 1, bound: eventlog.DefaultWatchBytes,
		keys: make(map[string]*storedPut), watchers: make(map[*watcher]bool),
	}
}

// Facts returns the log's facts.
func (l *MemoryLog) Facts() events.Facts { return l.facts }

// Fail sets hooks that make calls fail: "append", "head", "read" and "watch". before runs when a call begins: the call
// returns its error without an effect. after runs when an append took effect, when the head is known, and after each event
// of a read and each batch of a watch: its error replaces the answer, or ends the sequence. A nil hook never fails.
func (l *MemoryLog) Fail(before, after func(call string) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before, l.after = before, after
}

func (l *MemoryLog) failBefore(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	h := l.before
	l.mu.Unlock()
	return callHook(h, call)
}

func (l *MemoryLog) failAfter(call string) error {
	l.mu.Lock()
	h := l.after
	l.mu.Unlock()
	return callHook(h, call)
}

// Head returns the newest revision.
func (l *MemoryLog) Head(ctx context.Context) (events.Revision, error) {
	if err := l.failBefore(ctx, "head"); err != nil {
		return events.Revision{}, err
	}
	l.mu.Lock()
	r := l.revisionOf(l.head)
	l.mu.Unlock()
	return r, l.failAfter("head")
}

// Append creates the events that do not exist, as many at one revision as etcd would take.
func (l *MemoryLog) Append(ctx context.Context, evs []events.Event) ([]eventlog.Appended, error) {
	if err := l.failBefore(ctx, "append"); err != nil {
		return nil, err
	}
	puts, err := l.encodeEvents(evs, trace.ContextOf(ctx))
	if err != nil {
		return nil, err
	}
	out := make([]eventlog.Appended, len(puts))
	l.mu.Lock()
	for start := 0; start < len(puts); {
		end := start + 1
		for bytes := puts[start].size(); end < len(puts) && end-start < txnEvents && bytes+puts[end].size() <= txnBytes; end++ {
			bytes += puts[end].size()
		}
		l.createLocked(puts[start:end], out[start:end])
		start = end
	}
	l.mu.Unlock()
	if err := l.failAfter("append"); err != nil {
		return nil, err
	}
	return out, nil
}

func (l *MemoryLog) encodeEvents(evs []events.Event, from events.TraceContext) ([]storedPut, error) {
	now := events.TimestampOf(time.Now())
	puts := make([]storedPut, len(evs))
	for i, e := range evs {
		e.AppendedAt, e.Trace = now, from
		if last := e.Last(); last.Time().Sub(now.Time()) > 365*24*time.Hour { // the clock of a test's bubble is years behind its records
			e.AppendedAt = last
		}
		value, err := l.codec.Encode(nil, &e)
		if err != nil {
			return nil, err
		}
		puts[i] = storedPut{key: l.Key(&e), value: value}
	}
	return puts, nil
}

// Key returns the key of an event.
func (l *MemoryLog) Key(e *events.Event) string {
	return eventlog.DefaultRoot + "/" + events.EventKey(eventlog.DefaultClusterID, l.facts.Partitions, e).String()
}

func (l *MemoryLog) createLocked(puts []storedPut, out []eventlog.Appended) {
	var fresh []storedPut
	for i, p := range puts {
		if there := l.keys[p.key]; there != nil {
			out[i] = eventlog.Appended{Revision: l.revisionOf(there.create), Key: p.key}
			continue
		}
		p.create, p.mod = l.head+1, l.head+1
		fresh = append(fresh, p)
		l.keys[p.key] = &p
		out[i] = eventlog.Appended{Created: true, Revision: l.revisionOf(p.create), Key: p.key}
	}
	if len(fresh) > 0 {
		l.advanceLocked(fresh...)
	}
}

// Put creates or overwrites a key, as a writer other than Append would.
func (l *MemoryLog) Put(key string, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := storedPut{key: key, value: slices.Clone(value), create: l.head + 1, mod: l.head + 1}
	if there := l.keys[key]; there != nil {
		e.create = there.create
	}
	l.keys[key] = &e
	l.advanceLocked(e)
}

// Delete removes a key, as retention does.
func (l *MemoryLog) Delete(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.keys, key)
	l.advanceLocked()
}

// Advance advances the head without an event, as every other write to etcd does.
func (l *MemoryLog) Advance() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advanceLocked()
}

// advanceLocked commits puts as a new revision.
func (l *MemoryLog) advanceLocked(puts ...storedPut) {
	l.head++
	l.history = append(l.history, puts...)
	for w := range l.watchers {
		w.pushLocked(puts, l.head)
	}
}

// Compact drops the history before the newest revision. A Watch from before it ends with ErrCompacted; running watches
// continue (Break ends them).
func (l *MemoryLog) Compact() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.compacted = l.head
	l.history = slices.DeleteFunc(l.history, func(e storedPut) bool { return e.mod < l.compacted })
}

func (l *MemoryLog) revisionOf(number int64) events.Revision {
	return events.Revision{Epoch: l.facts.Epoch, Cluster: l.facts.Cluster, Number: number}
}

func (e storedPut) size() int { return len(e.key) + len(e.value) }
