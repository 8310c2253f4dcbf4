package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// merger is what merging the chunks of sealed windows needs of the stored projections (snapshot.Store).
type merger interface {
	Chunks(ctx context.Context, g projections.Generation, p events.Partition, upto int64) ([]snapshot.StoredChunk, error)
	Merges(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, w projections.Window) ([]snapshot.Merge, error)
}

const (
	sealLook = 10 * time.Second // pace of looking for windows to merge

	// lateChunks is how many late chunks of a window that was merged are merged in their turn.
	lateChunks = 8

	// mergeRest is how many times as long as a merge took the next one waits, in the whole collector, so that merging
	// takes a small part of one core and of etcd whatever there is to merge.
	mergeRest = 4
)

// compactChunks merges the chunks of windows that are sealed, one window at a time, for as long as ctx lasts. It finds them by what
// is stored when it begins and what is committed since. Nothing waits for it: what it cannot do now it does later.
func (f *follower) compactChunks(ctx context.Context) error {
	if f.merger == nil {
		return nil
	}
	for listed := false; ; {
		if !wait.Sleep(ctx, f.cfg.sealLook) {
			return nil
		}
		if !listed {
			chunks, err := f.merger.Chunks(ctx, f.gen, f.partition, math.MaxInt64)
			if err != nil {
				f.lg.Warn("the chunks of history to merge are not known; trying again", "err", err, "again_in", f.cfg.sealLook)
				continue
			}
			f.seals.begin(chunks)
			listed = true
		}
		for _, key := range f.seals.take(f.state.isSealed) {
			if err := f.mergeWindow(ctx, key); err != nil {
				return stopped(ctx, err)
			}
		}
	}
}

// mergeWindow makes as few chunks as it can of a window. An error is that of the claim, or of what is stored.
func (f *follower) mergeWindow(ctx context.Context, key windowKey) error {
	select {
	case f.merging <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-f.merging }()
	for ctx.Err() == nil {
		began := time.Now()
		merges, err := f.merger.Merges(ctx, f.gen, f.partition, key.host, key.window)
		for i := range merges {
			if err = f.saveMerge(ctx, &merges[i]); err != nil {
				break
			}
			f.restAfter(ctx, began)
			began = time.Now()
		}
		switch {
		case errors.Is(err, snapshot.ErrFenced), errors.Is(err, snapshot.ErrStale):
			return fmt.Errorf("merging chunks of partition %d: %w", f.partition, err)
		case err != nil && ctx.Err() == nil:
			f.lg.Warn("the chunks of a window stay as they are", "host", key.host, "from", key.window.Start().Time(), "err", err)
		}
		if err != nil || len(merges) == 0 {
			f.restAfter(ctx, began)
			return nil
		}
	}
	return nil
}

func (f *follower) restAfter(ctx context.Context, began time.Time) {
	wait.Sleep(ctx, min(mergeRest*time.Since(began), time.Second))
}

// saveMerge writes one merge, between two commits. One that is under way when ctx ends is given time to end: the commit of
// what is folded follows it.
func (f *follower) saveMerge(ctx context.Context, m *snapshot.Merge) error {
	select {
	case f.saves <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.saves }()
	ctx, cancel := outlasting(ctx, finalCommit)
	defer cancel()
	err := f.store.Save(ctx, f.gen, f.partition, snapshot.Commit{Merges: []snapshot.Merge{*m}}, f.guard.Guard())
	if err == nil {
		f.metrics.merged.Add(float64(m.Replaced))
	}
	return err
}

// isSealed tells whether a window is over: the newest record of its host is later than its end by more than LATENESS, and
// none of its records waits for a chunk. gone means that its chunks are about to leave etcd and are not to be touched.
func (s *state) isSealed(key windowKey) (sealed, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[key.host]
	if h == nil || s.bulk {
		return false, false
	}
	for _, waiting := range []*history{s.pending[key.host], s.taken[key.host]} {
		if waiting != nil && waiting.windows[key.window] != nil {
			return false, false
		}
	}
	seen, ok := h.LastSeen()
	end := (key.window + 1).Start()
	over := ok && seen >= end && uint64(seen)-uint64(end) >= uint64(s.cfg.Lateness) // apart by more than an int64 holds, perhaps
	return over, key.window < s.hotFrom
}

// seals knows of which windows chunks are stored that are not merged, and which windows were merged.
type seals struct {
	mu     sync.Mutex
	chunks map[windowKey]int      // since the window was merged; of what is stored at the beginning, all
	merged map[windowBlock]uint64 // a bit for each window
}

// windowBlock is 64 windows of one host that follow each other.
type windowBlock struct {
	host events.HostID
	of   projections.Window // their number divided by 64
}

func newSeals() *seals {
	return &seals{chunks: map[windowKey]int{}, merged: map[windowBlock]uint64{}}
}

// begin counts what is stored. A chunk that is committed at the same time may count twice, which makes no difference.
func (s *seals) begin(stored []snapshot.StoredChunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range stored {
		s.chunks[windowKey{c.Host, c.Window}]++
	}
}

// note counts chunks that are committed.
func (s *seals) note(chunks []snapshot.Chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range chunks {
		s.chunks[windowKey{chunks[i].Host, chunks[i].Window}]++
	}
}

// take gives the windows to merge, the oldest first, and counts them as merged: those that are sealed and have more than one
// chunk, and those that have many since.
func (s *seals) take(isSealed func(windowKey) (sealed, gone bool)) []windowKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []windowKey
	for key, n := range s.chunks {
		block, bit := windowBlock{key.host, key.window >> 6}, uint64(1)<<(key.window&63)
		if s.merged[block]&bit != 0 && n < lateChunks {
			continue
		}
		sealed, gone := isSealed(key)
		if !sealed {
			continue
		}
		delete(s.chunks, key)
		s.merged[block] |= bit
		if n > 1 && !gone {
			due = append(due, key)
		}
	}
	slices.SortFunc(due, func(a, b windowKey) int {
		return cmp.Or(cmp.Compare(a.window, b.window), cmp.Compare(a.host, b.host))
	})
	return due
}
