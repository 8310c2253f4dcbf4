package livetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"
	"sync"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Source is stored projections of several generations. As in etcd, one revision counts the changes of all
// of them, a change is seen whole or not at all, and history can be compacted away. Safe for concurrent
// use.
type Source struct {
	facts events.Facts

	mu          sync.Mutex
	revision    int64
	active      projections.ActiveGeneration
	generations map[projections.Generation]*generation
	changed     chan struct{} // closed and replaced at every change
	failing     error         // the error of every read now
	broken      error         // the error that ends the watches under way, once
	breaks      int64
	loads       int
}

type generation struct {
	hosts      map[events.HostID]projections.Stored // complete models
	offsets    map[events.Partition]projections.Offsets
	unreadable map[string]projections.Unreadable
	changes    []projections.Batch
	compacted  int64
}

// Facts returns facts for tests: 4 partitions.
func Facts() events.Facts {
	return events.Facts{Epoch: 0xe1, Cluster: 0xc1, Partitions: 4, PartitionHash: "xxh3"}
}

// New returns an empty source without an active generation.
func New(facts events.Facts) *Source {
	return &Source{facts: facts, generations: map[projections.Generation]*generation{}, changed: make(chan struct{})}
}

func (s *Source) revisionAt(n int64) events.Revision {
	return events.Revision{Epoch: s.facts.Epoch, Cluster: s.facts.Cluster, Number: n}
}

// generationLocked returns a generation. It creates a missing one.
func (s *Source) generationLocked(g projections.Generation) *generation {
	if s.generations[g] == nil {
		s.generations[g] = &generation{hosts: map[events.HostID]projections.Stored{}, offsets: map[events.Partition]projections.Offsets{},
			unreadable: map[string]projections.Unreadable{}}
	}
	return s.generations[g]
}

// notifyLocked wakes all goroutines that wait for a change.
func (s *Source) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Store commits one transaction in a generation and returns its position.
func (s *Source) Store(g projections.Generation, hosts ...projections.Stored) events.Revision {
	return s.commitBatch(g, projections.Batch{Hosts: hosts})
}

// StoreTraced is Store in a trace.
func (s *Source) StoreTraced(g projections.Generation, from events.TraceContext, hosts ...projections.Stored) events.Revision {
	return s.commitBatch(g, projections.Batch{Hosts: hosts, Trace: from})
}

// Head returns the position of the last transaction of any generation.
func (s *Source) Head() events.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revisionAt(s.revision)
}

// Fold moves the offsets of all partitions of a generation to a log position, without any other change.
func (s *Source) Fold(g projections.Generation, upto int64) events.Revision {
	b := projections.Batch{Offsets: map[events.Partition]projections.Offsets{}}
	for p := range events.Partition(s.facts.Partitions) {
		b.Offsets[p] = projections.Offsets{Live: s.revisionAt(upto), Series: s.revisionAt(upto)}
	}
	return s.commitBatch(g, b)
}

// Offset moves the offsets of one partition.
func (s *Source) Offset(g projections.Generation, p events.Partition, live, series int64) events.Revision {
	return s.commitBatch(g, projections.Batch{Offsets: map[events.Partition]projections.Offsets{p: {Live: s.revisionAt(live), Series: s.revisionAt(series)}}})
}

func (s *Source) commitBatch(g projections.Generation, b projections.Batch) events.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	b.At = s.revisionAt(s.revision)
	to := s.generationLocked(g)
	for _, h := range b.Hosts {
		to.storeHost(h)
	}
	for _, u := range b.Unreadable {
		to.spoilValue(u)
	}
	maps.Copy(to.offsets, b.Offsets)
	maps.DeleteFunc(to.unreadable, func(_ string, u projections.Unreadable) bool {
		_, written := b.Offsets[u.Partition]
		return u.Kind == "offsets" && written
	})
	to.changes = append(to.changes, b)
	s.notifyLocked()
	return b.At
}

func (g *generation) spoilValue(u projections.Unreadable) {
	g.unreadable[u.Key] = u
	h := g.hosts[u.Host]
	switch u.Kind {
	case "live":
		h.Live = nil
	case "identity":
		h.Identity = nil
	}
	if g.hosts[u.Host] = h; h.Live == nil && h.Identity == nil {
		delete(g.hosts, u.Host)
	}
}

func (g *generation) storeHost(h projections.Stored) {
	maps.DeleteFunc(g.unreadable, func(_ string, u projections.Unreadable) bool { return u.Host == h.Host })
	if h.Removed {
		delete(g.hosts, h.Host)
		return
	}
	whole := g.hosts[h.Host]
	whole.Host, whole.Partition = h.Host, h.Partition
	if h.Live != nil {
		whole.Live = h.Live
	}
	if h.Identity != nil {
		whole.Identity = h.Identity
	}
	g.hosts[h.Host] = whole
}

// Activate makes a generation the active one.
func (s *Source) Activate(g projections.Generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.active = projections.ActiveGeneration{Generation: g}
	s.generationLocked(g)
	s.notifyLocked()
}

// Refuse makes a generation the active one that the program cannot read.
func (s *Source) Refuse(g projections.Generation, refusal error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.active = projections.ActiveGeneration{Generation: g, Refusal: refusal}
	s.notifyLocked()
}

// Spoil makes a value of a host unreadable: a later Load and Watch list it and leave out its model. A later change of the
// host mends it.
func (s *Source) Spoil(g projections.Generation, u projections.Unreadable) events.Revision {
	return s.commitBatch(g, projections.Batch{Unreadable: []projections.Unreadable{u}})
}

// Break ends the watches under way with err, once: new ones work. ErrCompacted also deletes the history.
func (s *Source) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, events.ErrCompacted) {
		for _, g := range s.generations {
			g.changes, g.compacted = nil, s.revision
		}
	}
	s.broken = err
	s.breaks++
	s.notifyLocked()
}

// Fail makes every read end with err from now on, until it is nil.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = err
	s.notifyLocked()
}

// Loads returns the number of successful calls of Load.
func (s *Source) Loads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

// Load reads a whole generation.
func (s *Source) Load(ctx context.Context, g projections.Generation) (projections.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmp.Or(s.failing, context.Cause(ctx)); err != nil {
		return projections.Batch{}, err
	}
	from := s.generations[g]
	if from == nil {
		return projections.Batch{}, fmt.Errorf("generation %q was never made: a mistake of the caller", g)
	}
	s.loads++
	b := projections.Batch{At: s.revisionAt(s.revision), Offsets: maps.Clone(from.offsets)}
	for _, name := range slices.Sorted(maps.Keys(from.hosts)) {
		b.Hosts = append(b.Hosts, from.hosts[name])
	}
	for _, key := range slices.Sorted(maps.Keys(from.unreadable)) {
		b.Unreadable = append(b.Unreadable, from.unreadable[key])
	}
	return b, nil
}

// Watch follows a generation.
func (s *Source) Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error] {
	return func(yield func(projections.Batch, error) bool) {
		s.mu.Lock()
		breaks := s.breaks
		s.mu.Unlock()
		for {
			b, ok, wait, err := s.nextBatch(g, after.Number, breaks)
			switch {
			case err != nil:
				yield(projections.Batch{}, err)
				return
			case ok:
				if !yield(b, nil) {
					return
				}
				after = b.At
				continue
			}
			select {
			case <-wait:
			case <-ctx.Done():
				yield(projections.Batch{}, context.Cause(ctx))
				return
			}
		}
	}
}

// nextBatch returns the first change after a position, or a channel that closes at the next change.
func (s *Source) nextBatch(g projections.Generation, after, breaks int64) (projections.Batch, bool, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.generationLocked(g)
	switch {
	case s.failing != nil:
		return projections.Batch{}, false, nil, s.failing
	case s.breaks != breaks:
		return projections.Batch{}, false, nil, s.broken
	case after < from.compacted:
		return projections.Batch{}, false, nil, events.ErrCompacted
	}
	next := sort.Search(len(from.changes), func(i int) bool { return from.changes[i].At.Number > after })
	if next < len(from.changes) {
		return from.changes[next], true, nil, nil
	}
	return projections.Batch{}, false, s.changed, nil
}

// WatchActive yields the active generation and every later one.
func (s *Source) WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error] {
	return func(yield func(projections.ActiveGeneration, error) bool) {
		var last projections.Generation
		for {
			s.mu.Lock()
			g, wait, err := s.active, s.changed, s.failing
			s.mu.Unlock()
			if err != nil {
				yield(projections.ActiveGeneration{}, err)
				return
			}
			if g.Generation != last {
				last = g.Generation
				if !yield(g, nil) {
					return
				}
				continue
			}
			select {
			case <-wait:
			case <-ctx.Done():
				yield(projections.ActiveGeneration{}, context.Cause(ctx))
				return
			}
		}
	}
}
