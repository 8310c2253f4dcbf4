package collect

import (
	"context"
	"sync"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// state holds a follower's folded models and records, and tracks the unstored part. The folding goroutine adds to it,
// the committing one takes from it; mu guards all fields below it. Values returned by takeDue are never changed.
type state struct {
	cfg     Config
	goal    func() int64 // returns a revision whose offsets must be stored once it is reached
	changed wait.Signal  // set when there may be something to commit

	mu       sync.Mutex
	hosts    map[events.HostID]*hostState
	dirty    map[events.HostID]*hostState      // models that differ from the stored ones
	pending  map[events.HostID]*pendingHistory // records that are in no stored chunk
	records  int                               // in pending, plus unstored entries of the quarantine
	inCommit map[events.HostID]*pendingHistory // being saved
	room     chan struct{}                     // closed and replaced when records decreases

	folded    events.Revision // every event up to this revision is in the models, and in pending or stored
	offsets   projections.Offsets
	hotFrom   projections.Window // next value for the offsets; never less than their value
	saving    bool               // a commit is in progress
	stored    chan struct{}      // closed and replaced when a commit is stored
	lastEvent int64              // revision of the last event seen
	arrivedAt time.Time          // time of the last fold of an event
	upload    events.UploadID
	total     int64 // records folded in this generation, for people
	events    int64 // folded by this process
	bulk      bool  // there is much to read: commits are few and large

	traced       tracedFolds
	tracedCommit tracedCommit // of the commit that is being saved

	quarantine quarantine
}

// hostState holds one host's models and tracks their unstored changes.
type hostState struct {
	projections.Host
	live, identity bool // differ from the stored ones
	since          int64
	savedAt        time.Time
}

// pendingHistory holds records of one host that wait for their chunks.
type pendingHistory struct {
	windows map[projections.Window]*projections.HostWindow
	records int
	since   int64 // no offset reaches it before the records are stored
	at      time.Time
}

func newState(cfg Config, stored snapshot.Partition, goal func() int64) *state {
	s := &state{
		cfg:     cfg,
		goal:    goal,
		changed: wait.NewSignal(),
		hosts:   make(map[events.HostID]*hostState, len(stored.Hosts)),
		dirty:   map[events.HostID]*hostState{},
		pending: map[events.HostID]*pendingHistory{},
		room:    make(chan struct{}),
		stored:  make(chan struct{}),
		offsets: stored.Offsets,
		hotFrom: stored.Offsets.HotFrom,
		folded:  earlierRevision(stored.Offsets.Live, stored.Offsets.Series),
		total:   stored.Offsets.Records,

		quarantine: newQuarantine(cfg),
	}
	for _, h := range stored.Hosts {
		s.hosts[h.ID] = &hostState{Host: h}
	}
	return s
}

func earlierRevision(a, b events.Revision) events.Revision {
	if a.Number < b.Number {
		return a
	}
	return b
}

// foldedRevision returns the revision up to which the log is folded.
func (s *state) foldedRevision() events.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folded
}

// advanceTo records that every event up to r was folded.
func (s *state) advanceTo(r events.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Number > s.folded.Number {
		s.folded = r
	}
	s.changed.Set()
}

// applyEvent applies an event to its host's models; no offset reaches since before they are stored. It returns the
// event's effect and the host's previous identity, with the windows of its history. An apply that panics has changed
// nothing, since models are never changed in place.
func (s *state) applyEvent(ev *events.Event, since int64, apply applyEvent) (projections.Effect, projections.Identity, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[ev.Host]
	if h == nil {
		h = &hostState{Host: projections.Host{ID: ev.Host}}
	}
	known := h.Identity
	next, effect, failed := foldWithin(&h.Host, ev, projections.Bounds{GoneAfter: s.cfg.GoneAfter}, apply)
	if failed != nil && !failed.partial {
		return effect, known, failed
	}
	h.Host, s.hosts[ev.Host] = next, h
	s.arrivedAt, s.upload = time.Now(), ev.Upload
	s.traced.noteFold(ev, s.arrivedAt)
	s.total += int64(ev.Records() - effect.Refused.Records)
	s.events++
	if effect.Live || effect.Identity {
		if s.dirty[ev.Host] == nil {
			s.dirty[ev.Host], h.since = h, since
		}
		h.live = h.live || effect.Live
		h.identity = h.identity || effect.Identity
	}
	return effect, known, failed
}

// markSeen records that the log's next event, at r, was folded or is kept for the quarantine. Everything before r is
// complete, since events arrive in order of revision. r itself is not: several events may share it.
func (s *state) markSeen(r events.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastEvent = r.Number
	if r.Number--; r.Number > s.folded.Number {
		s.folded = r
	}
}

// addPending adds records that are in no stored chunk to the host's pending history, which takes them over; no offset
// reaches since before they are stored.
func (s *state) addPending(id events.HostID, w projections.Window, records projections.HostWindow, since int64) {
	if records.Records() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.pending[id]
	if h == nil {
		h = &pendingHistory{windows: map[projections.Window]*projections.HostWindow{}, since: since, at: time.Now()}
		s.pending[id] = h
	}
	if h.windows[w] == nil {
		h.windows[w] = &projections.HostWindow{}
	}
	added := h.windows[w].Take(records)
	h.records += added
	s.records += added
}

// addUnstored adds a window's folded and unstored records to series.
func (s *state) addUnstored(id events.HostID, w projections.Window, series *projections.HostWindow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range []*pendingHistory{s.inCommit[id], s.pending[id]} {
		if from != nil && from.windows[w] != nil {
			series.Add(*from.windows[w])
		}
	}
}

// countFolded returns how many events were folded here, and whether there is much to read.
func (s *state) countFolded() (events int64, bulk bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events, s.bulk
}

// setBulk sets whether there is much to read: then commits are few and large.
func (s *state) setBulk(bulk bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bulk = bulk
	s.changed.Set()
}

// maxRecordsLocked returns the maximum number of records that may wait for their chunks.
func (s *state) maxRecordsLocked() int {
	if s.bulk {
		return s.cfg.RebuildSize
	}
	return s.cfg.BufferSize
}

// awaitRoom waits until fewer than BufferSize (or RebuildSize) records wait for their chunks, so that memory is
// bounded when etcd is slower than the log. An empty buffer accepts an event of any size.
func (s *state) awaitRoom(ctx context.Context) error {
	for {
		s.mu.Lock()
		full, room := s.records >= s.maxRecordsLocked(), s.room
		s.mu.Unlock()
		if !full {
			return nil
		}
		s.changed.Set()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
