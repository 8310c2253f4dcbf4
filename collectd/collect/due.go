package collect

import (
	"maps"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// idle is how long a partition is quiet before its pending records are written without waiting for more.
const idle = 50 * time.Millisecond

// quietRevisions is how far the stored position of a partition without events may stay behind: saving
// each step of it would make revisions that make steps.
const quietRevisions = 5000

// take gives what is due to be written at now, with hosts' live models no more often than pace, and when to
// look again if nothing is. all takes everything. A chunk takes its host's live model along: live never
// falls behind the chunks, so a record newer than the stored live model is in no chunk.
func (s *state) take(now time.Time, pace time.Duration, all bool) (c snapshot.Commit, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = snapshot.Commit{Live: map[events.HostID]*projections.Live{}, Identity: map[events.HostID]*projections.Identity{}, Upload: s.upload}
	again = now.Add(time.Minute)
	full := s.records >= s.sizeLocked()
	s.taken = map[events.HostID]*history{}
	for id, h := range s.pending {
		if at := s.dueAt(h); !all && !full && now.Before(at) {
			again = earlier(again, at)
			continue
		}
		s.taken[id] = h
		s.takeModels(id, &c, now)
		c.Chunks = appendChunks(c.Chunks, id, h)
	}
	maps.DeleteFunc(s.pending, func(id events.HostID, _ *history) bool { return s.taken[id] != nil })
	if s.bulk {
		pace = s.cfg.SeriesInterval
	}
	for id, h := range s.dirty {
		if at := h.savedAt.Add(pace); !all && now.Before(at) {
			again = earlier(again, at)
			continue
		}
		s.takeModels(id, &c, now)
	}
	s.quarantine.take(&c, func(id events.HostID) bool { return s.dirty[id] == nil && s.pending[id] == nil })
	c.Offsets = s.dueOffsets(!isEmpty(c))
	s.saving = !isEmpty(c)
	return c, again
}

func (s *state) dueAt(h *history) time.Time {
	if s.bulk {
		return h.at.Add(s.cfg.SeriesInterval)
	}
	if h.records >= s.cfg.ChunkRecords {
		return h.at
	}
	return earlier(h.at.Add(s.cfg.SeriesInterval), s.arrivedAt.Add(idle))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (s *state) takeModels(id events.HostID, c *snapshot.Commit, now time.Time) {
	h := s.dirty[id]
	if h == nil {
		return
	}
	if h.live {
		model := h.Live
		c.Live[id] = &model
	}
	if h.identity {
		model := h.Identity
		c.Identity[id] = &model
	}
	h.live, h.identity, h.savedAt = false, false, now
	delete(s.dirty, id)
}

func appendChunks(chunks []snapshot.Chunk, id events.HostID, h *history) []snapshot.Chunk {
	for w, series := range h.windows {
		chunks = append(chunks, snapshot.Chunk{Host: id, Window: w, Series: *series})
	}
	return chunks
}

// dueOffsets gives the offsets to write, nil for none: with every commit of something, after events that
// changed nothing, when the goal is reached, and for a quiet partition else only now and then.
func (s *state) dueOffsets(withOthers bool) *projections.Offsets {
	next := s.offsets
	next.HotFrom = s.hotFrom
	next.Records = s.total
	next.Live = s.covered(next.Live, func(yield func(int64)) {
		for _, h := range s.dirty {
			yield(h.since)
		}
	})
	next.Series = s.covered(next.Series, func(yield func(int64)) {
		for _, h := range s.pending {
			yield(h.since)
		}
	})
	was, now := older(s.offsets.Live, s.offsets.Series).Number, older(next.Live, next.Series).Number
	settles := was < s.lastEvent && now >= s.lastEvent
	arrives := was < s.goal() && now >= s.goal()
	if withOthers || settles || arrives || next.HotFrom != s.offsets.HotFrom || now-was >= quietRevisions {
		return &next
	}
	return nil
}

// covered is the position up to which everything is taken, given the revisions of what is left; it
// never goes back.
func (s *state) covered(was events.Revision, left func(func(int64))) events.Revision {
	now := s.folded
	left(func(since int64) { now.Number = min(now.Number, since-1) })
	if now.Number <= was.Number {
		return was
	}
	return now
}

// saved notes that a commit is stored.
func (s *state) saved(c snapshot.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Offsets != nil {
		s.offsets = *c.Offsets
	}
	freed := len(c.Quarantine)
	for _, h := range s.taken {
		freed += h.records
	}
	if s.records -= freed; freed > 0 {
		close(s.room)
		s.room = make(chan struct{})
	}
	s.taken, s.saving = nil, false
	close(s.stored)
	s.stored = make(chan struct{})
}
