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

// state is what a follower has folded and what of it is not stored yet. The folding goroutine adds, the
// committing one takes; mu guards all fields below it. What take hands out is not changed any more.
type state struct {
	cfg     Config
	goal    func() int64 // a position that is to be stored once it is reached, whatever else there is
	changed wait.Signal  // there may be something to commit

	mu      sync.Mutex
	hosts   map[events.HostID]*host
	dirty   map[events.HostID]*host    // models that differ from the stored ones
	pending map[events.HostID]*history // records that no stored chunk holds
	records int                        // in pending, and entries for the quarantine that are not stored
	taken   map[events.HostID]*history // being saved
	room    chan struct{}              // closed and replaced when records gets smaller

	folded    events.Revision // every event up to here is in the models, and in pending or stored
	offsets   projections.Offsets
	hotFrom   projections.Window // what offsets are to say; never less than what they do
	saving    bool               // a commit is under way
	stored    chan struct{}      // closed and replaced when a commit is stored
	lastEvent int64              // revision of the last event met
	arrivedAt time.Time          // when an event was folded last
	upload    events.UploadID
	total     int64 // records folded in this generation, for people
	bulk      bool  // much is to be read: commits are few and large

	quarantine quarantine
}

// host is one host's models and how much of them is stored.
type host struct {
	projections.Host
	live, identity bool // differ from what is stored
	since          int64
	savedAt        time.Time
}

// history is records of one host that wait for their chunks.
type history struct {
	windows map[projections.Window]*projections.HostWindow
	records int
	since   int64 // no offset reaches it before they are stored
	at      time.Time
}

func newState(cfg Config, stored snapshot.Partition, goal func() int64) *state {
	s := &state{
		cfg:     cfg,
		goal:    goal,
		changed: wait.NewSignal(),
		hosts:   make(map[events.HostID]*host, len(stored.Hosts)),
		dirty:   map[events.HostID]*host{},
		pending: map[events.HostID]*history{},
		room:    make(chan struct{}),
		stored:  make(chan struct{}),
		offsets: stored.Offsets,
		hotFrom: stored.Offsets.HotFrom,
		folded:  older(stored.Offsets.Live, stored.Offsets.Series),
		total:   stored.Offsets.Records,

		quarantine: newQuarantine(),
	}
	for _, h := range stored.Hosts {
		s.hosts[h.ID] = &host{Host: h}
	}
	return s
}

func older(a, b events.Revision) events.Revision {
	if a.Number < b.Number {
		return a
	}
	return b
}

// position is how far the log is folded.
func (s *state) position() events.Revision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.folded
}

// reached tells that every event up to r was folded.
func (s *state) reached(r events.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Number > s.folded.Number {
		s.folded = r
	}
	s.changed.Set()
}

// fold applies an event to its host's models; no offset reaches since before they are stored. It gives the
// event's effect and what was known of the host before: in which windows it had history. An apply that panics
// has changed nothing, since models are never changed in place.
func (s *state) fold(ev *events.Event, since int64,
	apply func(*projections.Host, *events.Event) projections.Effect) (projections.Effect, projections.Identity, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[ev.Host]
	if h == nil {
		h = &host{Host: projections.Host{ID: ev.Host}}
	}
	known, next := h.Identity, h.Host
	effect := apply(&next, ev)
	if failed := tooLarge(&next, effect); failed != nil {
		return effect, known, failed
	}
	h.Host, s.hosts[ev.Host] = next, h
	s.arrivedAt, s.upload = time.Now(), ev.Upload
	s.total += int64(ev.Records())
	if effect.Live || effect.Identity {
		if s.dirty[ev.Host] == nil {
			s.dirty[ev.Host], h.since = h, since
		}
		h.live = h.live || effect.Live
		h.identity = h.identity || effect.Identity
	}
	return effect, known, nil
}

// markSeen records that the log's next event, at r, was folded or is kept for the quarantine. What is older than r is
// complete, since events come in order of revision. r itself is not: several events may share it.
func (s *state) markSeen(r events.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastEvent = r.Number
	if r.Number--; r.Number > s.folded.Number {
		s.folded = r
	}
}

// remember adds records that no stored chunk holds to what waits for a chunk; no offset reaches since before
// that is stored.
func (s *state) remember(id events.HostID, w projections.Window, records projections.HostWindow, since int64) {
	if records.Records() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.pending[id]
	if h == nil {
		h = &history{windows: map[projections.Window]*projections.HostWindow{}, since: since, at: time.Now()}
		s.pending[id] = h
	}
	if h.windows[w] == nil {
		h.windows[w] = &projections.HostWindow{}
	}
	added := h.windows[w].Add(records)
	h.records += added.Records()
	s.records += added.Records()
}

// uniteUnstored adds to series what is folded of a window but not stored yet.
func (s *state) uniteUnstored(id events.HostID, w projections.Window, series *projections.HostWindow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range []*history{s.taken[id], s.pending[id]} {
		if from != nil && from.windows[w] != nil {
			series.Add(*from.windows[w])
		}
	}
}

// setBulk says whether much is to be read: then commits are few and large.
func (s *state) setBulk(bulk bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bulk = bulk
	s.changed.Set()
}

// sizeLocked is how many records may wait for their chunks.
func (s *state) sizeLocked() int {
	if s.bulk {
		return s.cfg.RebuildSize
	}
	return s.cfg.BufferSize
}

// awaitRoom waits until less than BufferSize (or RebuildSize) records wait for their chunks, so that memory is bounded
// when etcd is slower than the log. An empty buffer takes an event of any size.
func (s *state) awaitRoom(ctx context.Context) error {
	for {
		s.mu.Lock()
		full, room := s.records >= s.sizeLocked(), s.room
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
