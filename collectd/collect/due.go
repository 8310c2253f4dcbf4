package collect

import (
	"maps"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// idleDelay is the least time without a new event after which a partition's pending records are written without waiting
// for more.
const idleDelay = 50 * time.Millisecond

// maxIdleLag is the maximum number of revisions by which the stored position of a partition without events may lag.
// Saving each step would create revisions, which are steps again.
const maxIdleLag = 5000

// takeDue returns the state to write at now, with a host's live model at most once per LiveInterval, and the time of
// the next attempt if nothing is due. Nothing is due before the turn of pace, unless no more records can be folded.
// all takes everything. A chunk takes its host's live model along: live never falls behind the chunks, so a record newer
// than the stored live model is in no chunk.
func (s *state) takeDue(now time.Time, pace *commitPace, all bool) (c snapshot.Commit, again time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.records >= s.maxRecordsLocked()
	if !all && !full && !s.bulk && now.Before(pace.next.at) {
		return c, pace.next.at
	}
	c = snapshot.Commit{Live: map[events.HostID]*projections.Live{}, Identity: map[events.HostID]*projections.Identity{}, Upload: s.upload}
	again = now.Add(time.Minute)
	s.inCommit = map[events.HostID]*pendingHistory{}
	for id, h := range s.pending {
		if at := s.dueAt(h, max(idleDelay, pace.next.idle)); !all && !full && now.Before(at) {
			again = earlierTime(again, at)
			continue
		}
		s.inCommit[id] = h
		s.takeModels(id, &c, now)
		c.Chunks = appendChunks(c.Chunks, id, h)
	}
	maps.DeleteFunc(s.pending, func(id events.HostID, _ *pendingHistory) bool { return s.inCommit[id] != nil })
	liveInterval := s.cfg.LiveInterval
	if s.bulk {
		liveInterval = s.cfg.SeriesInterval
	}
	for id, h := range s.dirty {
		if at := h.savedAt.Add(liveInterval); !all && now.Before(at) {
			again = earlierTime(again, at)
			continue
		}
		s.takeModels(id, &c, now)
	}
	s.quarantine.takeDue(&c, func(id events.HostID) bool { return s.dirty[id] == nil && s.pending[id] == nil })
	c.Offsets = s.dueOffsets(!isEmpty(c))
	if s.saving = !isEmpty(c); s.saving {
		s.tracedCommit = s.traced.takeStored(s.dirty)
	}
	return c, again
}

func (s *state) dueAt(h *pendingHistory, idle time.Duration) time.Time {
	if s.bulk {
		return h.at.Add(s.cfg.SeriesInterval)
	}
	if h.records >= s.cfg.ChunkRecords {
		return h.at
	}
	return earlierTime(h.at.Add(s.cfg.SeriesInterval), s.arrivedAt.Add(idle))
}

func earlierTime(a, b time.Time) time.Time {
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

func appendChunks(chunks []snapshot.Chunk, id events.HostID, h *pendingHistory) []snapshot.Chunk {
	for w, series := range h.windows {
		chunks = append(chunks, snapshot.Chunk{Host: id, Window: w, Series: *series})
	}
	return chunks
}

// dueOffsets returns the offsets to write, or nil. They are written with every other write, after events that changed
// nothing, when the goal is reached, and otherwise once an idle partition lags by maxIdleLag revisions.
func (s *state) dueOffsets(withOthers bool) *projections.Offsets {
	next := s.offsets
	next.HotFrom = s.hotFrom
	next.Records = s.total
	next.Live = s.coveredRevision(next.Live, func(yield func(int64)) {
		for _, h := range s.dirty {
			yield(h.since)
		}
	})
	next.Series = s.coveredRevision(next.Series, func(yield func(int64)) {
		for _, h := range s.pending {
			yield(h.since)
		}
	})
	was, now := earlierRevision(s.offsets.Live, s.offsets.Series).Number, earlierRevision(next.Live, next.Series).Number
	passesLastEvent := was < s.lastEvent && now >= s.lastEvent
	reachesGoal := was < s.goal() && now >= s.goal()
	if withOthers || passesLastEvent || reachesGoal || next.HotFrom != s.offsets.HotFrom || now-was >= maxIdleLag {
		return &next
	}
	return nil
}

// coveredRevision returns the revision up to which everything is taken. left yields the revisions of the remaining
// state. The result never decreases.
func (s *state) coveredRevision(was events.Revision, left func(func(int64))) events.Revision {
	now := s.folded
	left(func(since int64) { now.Number = min(now.Number, since-1) })
	if now.Number <= was.Number {
		return was
	}
	return now
}

// markSaved records that commit c is stored.
func (s *state) markSaved(c snapshot.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Offsets != nil {
		s.offsets = *c.Offsets
	}
	freed := s.quarantine.inCommit
	for _, h := range s.inCommit {
		freed += h.records
	}
	if s.records -= freed; freed > 0 {
		close(s.room)
		s.room = make(chan struct{})
	}
	s.inCommit, s.saving = nil, false
	close(s.stored)
	s.stored = make(chan struct{})
}
