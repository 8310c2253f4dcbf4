package collect

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// memoryStore keeps one partition's projections in memory the way snapshot.Store does in etcd: models as their bytes,
// chunks appended, offsets last, each write under a fence. fail may refuse a write before it is done or hide that it
// was done.
type memoryStore struct {
	mu       sync.Mutex
	live     map[events.HostID][]byte
	identity map[events.HostID][]byte
	chunks   map[windowKey][]projections.HostWindow
	offsets  projections.Offsets
	entries  map[snapshot.EntryID]snapshot.Quarantined
	marks    map[snapshot.EntryID]int64  // revisions of the retry requests
	marked   chan struct{}               // closed and replaced with each new request
	passed   func(events.Revision) error // returns an error for an offset that must not be passed
	cut      func() error                // ends a commit before its offsets are written
	seen     func(snapshot.Commit)       // called with every commit
	token    int                         // a holder of another token is fenced
	saves    int
	fail     func() (before, after error)
}

func newMemoryStore() *memoryStore {
	return &memoryStore{
		live: map[events.HostID][]byte{}, identity: map[events.HostID][]byte{},
		chunks:  map[windowKey][]projections.HostWindow{},
		entries: map[snapshot.EntryID]snapshot.Quarantined{}, marks: map[snapshot.EntryID]int64{}, marked: make(chan struct{}),
		passed: func(events.Revision) error { return nil }, cut: func() error { return nil }, seen: func(snapshot.Commit) {},
		fail: func() (error, error) { return nil, nil },
	}
}

// heldStore is the memory store for the holder of a token: a compare cannot be evaluated there, so the follower's
// store carries its token itself.
type heldStore struct {
	*memoryStore
	held int
}

type noGuard struct{}

func (noGuard) Guard() clientv3.Cmp { return clientv3.Cmp{} }

func (s *memoryStore) LoadPartition(context.Context, projections.Generation, events.Partition) (snapshot.Partition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := snapshot.Partition{Offsets: s.offsets}
	for id := range s.identity {
		h, err := s.hostLocked(id)
		if err != nil {
			return p, err
		}
		p.Hosts = append(p.Hosts, h)
	}
	return p, nil
}

func (s *memoryStore) hostLocked(id events.HostID) (projections.Host, error) {
	h := projections.Host{ID: id}
	var err1, err2 error
	h.Identity, err1 = projections.ParseIdentity(s.identity[id])
	if bytes, ok := s.live[id]; ok {
		h.Live, err2 = projections.ParseLive(bytes)
	}
	return h, errors.Join(err1, err2)
}

func (s heldStore) Save(_ context.Context, _ projections.Generation, _ events.Partition, c snapshot.Commit, _ ...clientv3.Cmp) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held != s.token {
		return snapshot.ErrFenced
	}
	s.seen(c)
	before, after := s.fail()
	if before != nil {
		return before
	}
	s.saves++
	for id, model := range c.Identity {
		s.identity[id] = projections.AppendIdentity(nil, model)
	}
	for id, model := range c.Live {
		s.live[id] = projections.AppendLive(nil, model)
	}
	for _, chunk := range c.Chunks {
		key := windowKey{chunk.Host, chunk.Window}
		s.chunks[key] = append(s.chunks[key], copySeries(chunk.Series))
	}
	s.saveQuarantineLocked(c)
	if err := s.cut(); err != nil {
		return err
	}
	if c.Offsets != nil {
		if err := s.passed(earlierRevision(c.Offsets.Live, c.Offsets.Series)); err != nil {
			return err
		}
		if c.Offsets.Live.Number < s.offsets.Live.Number || c.Offsets.Series.Number < s.offsets.Series.Number {
			return errors.New("offsets went back")
		}
		s.offsets = *c.Offsets
	}
	return after
}

func (s *memoryStore) saveQuarantineLocked(c snapshot.Commit) {
	for _, q := range c.Quarantine {
		s.entries[q.ID] = q
	}
	for _, id := range c.Resolved {
		delete(s.entries, id)
	}
	for _, m := range c.Retried {
		if s.marks[m.Entry] == m.Revision {
			delete(s.marks, m.Entry)
		}
	}
}

// requestRetry stores a retry request, as a query server does.
func (s *memoryStore) requestRetry(id snapshot.EntryID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[id]++
	close(s.marked)
	s.marked = make(chan struct{})
}

func (s *memoryStore) Quarantined(context.Context, projections.Generation, events.Partition) iter.Seq2[snapshot.Quarantined, error] {
	s.mu.Lock()
	entries := slices.Collect(maps.Values(s.entries))
	s.mu.Unlock()
	slices.SortFunc(entries, func(a, b snapshot.Quarantined) int { return cmp.Compare(a.ID.Revision, b.ID.Revision) })
	return func(yield func(snapshot.Quarantined, error) bool) {
		for _, q := range entries {
			if !yield(q, nil) {
				return
			}
		}
	}
}

func (s *memoryStore) WatchRetries(ctx context.Context, _ events.Partition) iter.Seq2[[]snapshot.RetryRequest, error] {
	return func(yield func([]snapshot.RetryRequest, error) bool) {
		for ctx.Err() == nil {
			s.mu.Lock()
			var marks []snapshot.RetryRequest
			for id, revision := range s.marks {
				marks = append(marks, snapshot.RetryRequest{Entry: id, Revision: revision})
			}
			marked := s.marked
			s.mu.Unlock()
			if len(marks) > 0 && !yield(marks, nil) {
				return
			}
			select {
			case <-marked:
			case <-ctx.Done():
			}
		}
		yield(nil, ctx.Err())
	}
}

// copySeries goes through the bytes, as a store would, so that sharing memory with a writer shows.
func copySeries(series projections.HostWindow) projections.HostWindow {
	parsed, err := projections.ParseHostWindow(projections.AppendHostWindow(nil, &series))
	if err != nil {
		return projections.HostWindow{}
	}
	return parsed
}

func (s *memoryStore) Series(_ context.Context, _ projections.Generation, _ events.Partition, host events.HostID, windows []projections.Window) ([]projections.WindowSeries, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []projections.WindowSeries
	for _, w := range windows {
		if chunks := s.chunks[windowKey{host, w}]; len(chunks) > 0 {
			ws := projections.WindowSeries{Window: w}
			for _, chunk := range chunks {
				ws.Series.Add(copySeries(chunk))
			}
			all = append(all, ws)
		}
	}
	return all, nil
}
