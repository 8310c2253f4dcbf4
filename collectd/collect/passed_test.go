package collect

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// readingNow returns an event of a reading of now, of an hour before that, or of a year before that.
func readingNow(host events.HostID, age time.Duration, value int64) events.Event {
	cut := events.NewCutter(events.CutRules{}, "", "")
	at := events.TimestampOf(time.Now().Add(-age))
	cut.Row(host, 100, []events.Record{{
		Identity: &events.Identity{UUID: "GPU-" + string(host)}, Metric: "DCGM_FI_DEV_GPU_UTIL", Source: "DCGM_FI_DEV_GPU_UTIL",
		At: at, Value: events.Value{Number: events.Int(value)}, Text: []byte("1"),
	}})
	return cut.Flush()[0]
}

func TestAHostLeavesWhenNothingIsAppendedAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		const year = 365 * 24 * time.Hour
		const gone = 30 * 24 * time.Hour
		r.passed = r.log
		stop := r.startFollower(Config{GoneAfter: gone})
		r.appendEvents(readingNow("old-file", year, 1), readingNow("silent", 0, 2), readingNow("busy", 0, 3))
		r.awaitStored()
		if n := r.shown("old-file") + r.shown("silent") + r.shown("busy"); n != 3 {
			t.Errorf("%d hosts have readings, want 3: the age of a record does not matter", n)
		}
		for range 35 {
			time.Sleep(24 * time.Hour)
			r.appendEvents(readingNow("busy", 0, 4))
		}
		r.awaitStored()
		if r.shown("old-file")+r.shown("silent") != 0 || r.shown("busy") != 1 {
			t.Errorf("readings of the old file's host %d, the silent host %d, the busy host %d; want the last alone", r.shown("old-file"), r.shown("silent"), r.shown("busy"))
		}
		if id := r.identityOf("silent"); len(id.GPUs) != 1 || len(id.Windows) == 0 {
			t.Errorf("the silent host's identity is %+v, want its GPU and windows: its history stays", id)
		}
		r.appendEvents(readingNow("silent", 0, 5))
		r.awaitStored()
		if id := r.identityOf("silent"); r.shown("silent") != 1 || len(id.GPUs) != 1 {
			t.Errorf("the host that came back has readings of %d entities and %d GPUs, want 1 and the one of before", r.shown("silent"), len(id.GPUs))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.wantReplay(gone)
	})
}

// On a log to which nothing else is appended, an event says that the time of a reading has come.
func TestTheTimeOfAReadingComesInAQuietLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.passed = r.log
		stop := r.startFollower(Config{})
		r.appendEvents(readingNow("node", 0, 1), readingNow("node", -20*time.Minute, 2))
		r.awaitStored()
		for _, step := range []struct {
			sleep time.Duration
			want  float64
		}{{0, 1}, {14 * time.Minute, 1}, {2 * time.Minute, 2}} {
			time.Sleep(step.sleep)
			r.awaitStored()
			if got := r.newest("node"); got != step.want {
				t.Errorf("%s later the latest reading is %g, want %g", step.sleep, got, step.want)
			}
		}
		head, err := r.log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if later, err := r.log.Head(t.Context()); err != nil || later != head {
			t.Errorf("the log goes on from %v to %v (%v), want one event", head, later, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		r.wantReplay(0)
	})
}

// newest returns the latest reading of a host with one GPU by the time of its newest append, as a view shows it.
func (r *rig) newest(host events.HostID) float64 {
	r.t.Helper()
	l := r.stored(host).Live
	l, _, _ = l.Release(l.Appended)
	return l.Entities[0].Latest[0].Value.Number.Float()
}

// wantReplay folds the whole log again, as a rebuild does, and compares.
func (r *rig) wantReplay(gone time.Duration) {
	r.t.Helper()
	hosts := map[events.HostID]*projections.Host{}
	head, err := r.log.Head(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for ev, err := range r.log.Read(r.t.Context(), 0, events.Revision{}, head) {
		if err != nil {
			r.t.Fatal(err)
		}
		if hosts[ev.Host] == nil {
			hosts[ev.Host] = &projections.Host{ID: ev.Host}
		}
		hosts[ev.Host].ApplyWithin(&ev, projections.Bounds{GoneAfter: gone})
	}
	for id, h := range hosts {
		if !bytes.Equal(projections.AppendLive(nil, &h.Live), r.store.live[id]) || !bytes.Equal(projections.AppendIdentity(nil, &h.Identity), r.store.identity[id]) {
			r.t.Errorf("the models of %s differ from a replay", id)
		}
	}
}

// shown returns the number of entities in the stored live model of a host.
func (r *rig) shown(host events.HostID) int {
	r.t.Helper()
	return len(r.stored(host).Live.Entities)
}

func (r *rig) identityOf(host events.HostID) projections.Identity {
	r.t.Helper()
	return r.stored(host).Identity
}

// stored returns the stored models of a host.
func (r *rig) stored(host events.HostID) projections.Host {
	r.t.Helper()
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	h, err := r.store.hostLocked(host)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}
