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

// merger is the part of the stored projections that merging chunks uses (snapshot.Store).
type merger interface {
	Chunks(ctx context.Context, g projections.Generation, p events.Partition, upto int64) ([]snapshot.StoredChunk, error)
	Merges(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, w projections.Window) ([]snapshot.Merge, error)
}

const (
	defaultCompactionInterval = 10 * time.Second // interval of looking for windows to merge

	// lateChunks is the number of late chunks of a merged window that triggers another merge.
	lateChunks = 8

	// mergePauseFactor times the duration of a merge is the pause before the next one, in the whole collector, so
	// that merging takes a small part of one core and of etcd regardless of the amount to merge.
	mergePauseFactor = 4
)

// compactChunks merges the chunks of sealed windows, one window at a time, until ctx ends. It finds them from the
// chunks stored at its start and those committed since. Nothing waits for it: a failed merge is retried later.
func (f *follower) compactChunks(ctx context.Context) error {
	if f.merger == nil {
		return nil
	}
	for listed := false; ; {
		if !wait.Sleep(ctx, f.cfg.compactionInterval) {
			return nil
		}
		if !listed {
			chunks, err := f.merger.Chunks(ctx, f.gen, f.partition, math.MaxInt64)
			if err != nil {
				f.lg.Warn("listing the chunks to merge failed; trying again", "err", err, "again_in", f.cfg.compactionInterval)
				continue
			}
			f.compaction.countStored(chunks)
			listed = true
		}
		for _, key := range f.compaction.dueWindows(f.state.isSealed) {
			if err := f.mergeWindow(ctx, key); err != nil {
				return unlessCanceled(ctx, err)
			}
		}
	}
}

// mergeWindow merges the chunks of a window into as few as possible. It returns an error only for a lost claim or
// stale stored state.
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
			f.pauseAfterMerge(ctx, began)
			began = time.Now()
		}
		switch {
		case errors.Is(err, snapshot.ErrFenced), errors.Is(err, snapshot.ErrStale):
			return fmt.Errorf("merging chunks of partition %d: %w", f.partition, err)
		case err != nil && ctx.Err() == nil:
			f.lg.Warn("merging the chunks of a window failed; they stay as they are", "host", key.host, "from", key.window.Start().Time(), "err", err)
		}
		if err != nil || len(merges) == 0 {
			f.pauseAfterMerge(ctx, began)
			return nil
		}
	}
	return nil
}

func (f *follower) pauseAfterMerge(ctx context.Context, began time.Time) {
	wait.Sleep(ctx, min(mergePauseFactor*time.Since(began), time.Second))
}

// saveMerge writes one merge, between two commits. A merge in progress when ctx ends has finalCommit to end: the last
// commit follows it.
func (f *follower) saveMerge(ctx context.Context, m *snapshot.Merge) error {
	select {
	case f.saveSlot <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.saveSlot }()
	ctx, cancel := withGrace(ctx, finalCommit)
	defer cancel()
	err := f.store.Save(ctx, f.gen, f.partition, snapshot.Commit{Merges: []snapshot.Merge{*m}}, f.guard.Guard())
	if err == nil {
		f.metrics.merged.Add(float64(m.Replaced))
	}
	return err
}

// isSealed reports whether a window is over: its end precedes the newest record of its host by at least Lateness, and
// none of its records waits for a chunk. leaving reports whether its chunks are about to leave etcd and must not be
// touched.
func (s *state) isSealed(key windowKey) (sealed, leaving bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[key.host]
	if h == nil || s.bulk {
		return false, false
	}
	for _, waiting := range []*pendingHistory{s.pending[key.host], s.inCommit[key.host]} {
		if waiting != nil && waiting.windows[key.window] != nil {
			return false, false
		}
	}
	seen, ok := h.LastSeen()
	end := (key.window + 1).Start()
	over := ok && seen >= end && uint64(seen)-uint64(end) >= uint64(s.cfg.Lateness) // the difference may exceed an int64
	return over, key.window < s.hotFrom
}

// compaction tracks the windows with stored chunks that are not merged, and the windows that were merged.
type compaction struct {
	mu     sync.Mutex
	chunks map[windowKey]int      // chunks since the window was merged; all chunks of the windows stored at the start
	merged map[windowBlock]uint64 // a bit for each window
}

// windowBlock identifies 64 consecutive windows of one host.
type windowBlock struct {
	host   events.HostID
	number projections.Window // the windows' number divided by 64
}

func newCompaction() *compaction {
	return &compaction{chunks: map[windowKey]int{}, merged: map[windowBlock]uint64{}}
}

// countStored counts the stored chunks. A chunk that is committed at the same time may count twice, which is
// harmless.
func (s *compaction) countStored(stored []snapshot.StoredChunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range stored {
		s.chunks[windowKey{c.Host, c.Window}]++
	}
}

// countCommitted counts chunks of a commit.
func (s *compaction) countCommitted(chunks []snapshot.Chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range chunks {
		s.chunks[windowKey{chunks[i].Host, chunks[i].Window}]++
	}
}

// dueWindows returns the windows to merge, the oldest first, and counts them as merged: sealed windows with more than
// one chunk, and merged windows with at least lateChunks new ones.
func (s *compaction) dueWindows(isSealed func(windowKey) (sealed, gone bool)) []windowKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []windowKey
	for key, n := range s.chunks {
		block, bit := windowBlock{key.host, key.window >> 6}, uint64(1)<<(key.window&63)
		if s.merged[block]&bit != 0 && n < lateChunks {
			continue
		}
		sealed, leaving := isSealed(key)
		if !sealed {
			continue
		}
		delete(s.chunks, key)
		s.merged[block] |= bit
		if n > 1 && !leaving {
			due = append(due, key)
		}
	}
	slices.SortFunc(due, func(a, b windowKey) int {
		return cmp.Or(cmp.Compare(a.window, b.window), cmp.Compare(a.host, b.host))
	})
	return due
}
