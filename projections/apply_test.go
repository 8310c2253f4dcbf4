package projections

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// batches cuts records into events at random, in random order, some records and some events more than once.
func batches(rng *rand.Rand, host events.HostID, records []record) []*events.Event {
	rest := slices.Clone(records)
	for range len(records) / 4 {
		rest = append(rest, records[rng.IntN(len(records))])
	}
	rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	var evs []*events.Event
	for len(rest) > 0 {
		n := min(len(rest), 1+rng.IntN(12))
		evs = append(evs, event(host, rest[:n]))
		rest = rest[n:]
	}
	for range len(evs) / 3 {
		evs = append(evs, evs[rng.IntN(len(evs))])
	}
	return evs
}

// TestApplyIsSetUnion folds random records in random order, batches and repeats, and compares every model
// after every event with the models of the set of records so far.
func TestApplyIsSetUnion(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			run := newRun(t, "node-1")
			for _, ev := range batches(rng, "node-1", randomRecords(rng, 5+rng.IntN(80))) {
				run.apply(ev)
			}
		})
	}
}

// run folds events and holds every fold against the oracle.
type run struct {
	*testing.T
	host    Host
	records []record
	history map[Window]HostWindow
}

func newRun(t *testing.T, host events.HostID) *run {
	return &run{T: t, host: Host{ID: host}, history: make(map[Window]HostWindow)}
}

func (r *run) apply(ev *events.Event) Effect {
	r.Helper()
	before := oracleOf(r.host.ID, r.records)
	kept := r.host // copies of the slice headers, as another goroutine would hold them
	keptLive, keptIdentity := AppendLive(nil, &kept.Live), AppendIdentity(nil, &kept.Identity)

	effect := r.host.Apply(ev)

	if string(AppendLive(nil, &kept.Live)) != string(keptLive) || string(AppendIdentity(nil, &kept.Identity)) != string(keptIdentity) {
		r.Fatal("Apply changed models that were handed out before")
	}
	r.records = append(r.records, recordsOf(ev)...)
	after := oracleOf(r.host.ID, r.records)
	wantModels(r.T, &r.host, &after.host)
	if err := r.host.Check(); err != nil {
		r.Fatal(err)
	}
	if got, want := effect.Live, !gocmp.Equal(before.host.Live, after.host.Live); got != want {
		r.Errorf("Effect.Live: got %v, want %v", got, want)
	}
	if got, want := effect.Identity, !gocmp.Equal(before.host.Identity, after.host.Identity); got != want {
		r.Errorf("Effect.Identity: got %v, want %v", got, want)
	}
	r.wantSplit(ev, effect, &before)
	r.wantHistory(effect, &after)
	return effect
}

// wantSplit checks that Fresh and Late are the event's plausible records, cut where the newest reading
// before was.
func (r *run) wantSplit(ev *events.Event, effect Effect, before *oracle) {
	r.Helper()
	fresh, late, all := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, rec := range recordsOf(ev) {
		if rec.value.Absent != events.Implausible {
			all[rec.key()] = true
			switch newest, sure := before.newestOf(rec); {
			case sure && rec.at > newest:
				fresh[rec.key()] = true
			case rec.at <= newest:
				late[rec.key()] = true
			}
		}
	}
	got := make(map[string]bool)
	for name, part := range map[string]struct {
		got   map[Window]HostWindow
		never map[string]bool
	}{"Fresh": {effect.Fresh, late}, "Late": {effect.Late, fresh}} {
		for w, s := range part.got {
			if err := s.Check(w); err != nil {
				r.Fatalf("%s: %v", name, err)
			}
			for key := range keys(r.T, &s) {
				if part.never[key] || got[key] {
					r.Fatalf("%s has %s, which is another's", name, key)
				}
				got[key] = true
			}
		}
	}
	if diff := gocmp.Diff(all, got); diff != "" {
		r.Fatalf("Fresh and Late differ from the event (-want +got):\n%s", diff)
	}
}

// newestOf returns the newest time of a record's series in the live model. It is sure that records behind it are in no
// chunk where the entity has not left the model since.
func (o *oracle) newestOf(rec record) (at events.Timestamp, sure bool) {
	at = minTime
	entity := rec.identity.Entity(o.host.ID)
	i, ok := o.host.Live.findEntity(entity)
	if !ok {
		_, known := o.host.Identity.Find(entity.GPU)
		return at, !known
	}
	e := &o.host.Live.Entities[i]
	for _, l := range slices.Concat(e.Latest, e.Ahead) {
		if l.Metric == rec.metric {
			at = max(at, l.At)
		}
	}
	return at, !IsProcess(entity.Part)
}

// wantHistory adds the effect to the history and compares it with the set of all records. Fresh records
// must be new.
func (r *run) wantHistory(effect Effect, after *oracle) {
	r.Helper()
	for w, s := range effect.Fresh {
		history := r.history[w]
		if added := history.Add(s); added.Records() != s.Records() {
			r.Errorf("window %d: %d of %d fresh records were new", w, added.Records(), s.Records())
		}
		r.history[w] = history
	}
	for w, s := range effect.Late {
		history := r.history[w]
		history.Add(s)
		r.history[w] = history
	}
	got := make(map[Window]map[string]bool)
	for w, s := range r.history {
		if err := s.Check(w); err != nil {
			r.Fatal(err)
		}
		got[w] = keys(r.T, &s)
	}
	if diff := gocmp.Diff(after.series, got); diff != "" {
		r.Fatalf("history differs (-want +got):\n%s", diff)
	}
}

// recordsOf takes an event apart.
func recordsOf(ev *events.Event) (records []record) {
	for i := range ev.Columns {
		c := &ev.Columns[i]
		for at, v := range c.All() {
			records = append(records, record{&ev.Identities[c.Identity], c.Metric, c.Source, at, v, ev.AppendedAt})
		}
	}
	return records
}

// TestPrefixThenRest stores the models between any two events and continues from the stored bytes.
func TestPrefixThenRest(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		evs := batches(rng, "node-1", randomRecords(rng, 40))
		var whole, stored Host
		for _, ev := range evs {
			whole.Apply(ev)
			stored.Apply(ev)
			stored = reload(t, &stored)
		}
		wantModels(t, &stored, &whole)
	}
}

// reload stores and loads a host.
func reload(t *testing.T, h *Host) Host {
	t.Helper()
	live, err := ParseLive(AppendLive(nil, &h.Live))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := ParseIdentity(AppendIdentity(nil, &h.Identity))
	if err != nil {
		t.Fatal(err)
	}
	return Host{ID: h.ID, Live: live, Identity: identity}
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var h Host
	ev := event("node-1", randomRecords(rng, 50))
	if e := h.Apply(ev); !e.Live || !e.Identity || len(e.Fresh) == 0 || len(e.Late) != 0 {
		t.Errorf("first fold: live %v, identity %v, %d fresh and %d late windows; want true, true, some, none", e.Live, e.Identity, len(e.Fresh), len(e.Late))
	}
	if e := h.Apply(ev); e.Live || e.Identity || len(e.Fresh) != 0 || len(e.Late) == 0 {
		t.Errorf("second fold: live %v, identity %v, %d fresh and %d late windows; want false, false, none, some", e.Live, e.Identity, len(e.Fresh), len(e.Late))
	}
}

func TestApplyWithoutPlausibleReadings(t *testing.T) {
	id := &events.Identity{Index: "0"}
	h := Host{ID: "node-1"}
	e := h.Apply(event("node-1", []record{{id, "m", "m", 1, events.Value{Absent: events.Implausible, Raw: "1e99"}, 0}}))
	if e.Live || e.Identity || e.Fresh != nil || e.Late != nil {
		t.Errorf("got %+v, want no effect", e)
	}
	e = h.Apply(&events.Event{Host: "node-1", Damage: fmt.Errorf("unreadable")})
	if e.Live || e.Identity || e.Fresh != nil || e.Late != nil {
		t.Errorf("damaged event: got %+v, want no effect", e)
	}
}

func TestApplyRefusesAnotherHost(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an event of another host was folded")
		}
	}()
	h := Host{ID: "node-2"}
	h.Apply(event("node-1", []record{{&events.Identity{Index: "0"}, "m", "m", 1, events.Value{}, 0}}))
}

func TestSeriesOfIsEverythingPlausible(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	ev := event("node-1", randomRecords(rng, 80))
	want := oracleOf("node-1", recordsOf(ev))
	got := make(map[Window]map[string]bool)
	for w, s := range seriesOf(ev) {
		if err := s.Check(w); err != nil {
			t.Error(err)
		}
		got[w] = keys(t, &s)
	}
	if diff := gocmp.Diff(want.series, got); diff != "" {
		t.Errorf("series differ (-want +got):\n%s", diff)
	}
}
