package simulation

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

type offset struct{ Live, Series int64 }

// history is the records of hosts by window.
type history map[events.HostID]map[projections.Window]*projections.HostWindow

// gather adds the records of an event.
func (h history) gather(ev *events.Event) {
	effect := (&projections.Host{ID: ev.Host}).Apply(ev) // nothing is late for a host without a past
	if h[ev.Host] == nil {
		h[ev.Host] = map[projections.Window]*projections.HostWindow{}
	}
	for _, part := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for window, series := range part {
			if h[ev.Host][window] == nil {
				h[ev.Host][window] = &projections.HostWindow{}
			}
			h[ev.Host][window].Add(series)
		}
	}
}

func (h history) each(see func(events.HostID, projections.Window, *projections.HostWindow) error) error {
	for host, windows := range h {
		for window, series := range windows {
			if err := see(host, window, series); err != nil {
				return err
			}
		}
	}
	return nil
}

// awaitQuiet waits until everything has come to rest after faults have healed, and checks that it does so in time (P8).
func (w *world) awaitQuiet() {
	healed := time.Now()
	time.Sleep(2*leaseTTL + debounce)
	w.checkOwners()
	if !w.until(healed.Add(2*time.Minute), w.isRebuilt) {
		all, err := w.store.Generations(w.ctx)
		w.broken("P8: %s after all was well, generations are %+v (%v): what was begun is not ended", time.Since(healed), all, err)
		return
	}
	w.checkClaims()
	if !w.until(healed.Add(time.Minute), func() bool {
		w.senders.mu.Lock()
		defer w.senders.mu.Unlock()
		return w.senders.open == 0
	}) {
		w.broken("P1: %d uploads were not taken a minute after all was well", w.senders.open)
		return
	}
	last := w.lastEvents()
	if !w.until(time.Now().Add(30*time.Second), func() bool { return w.folded(last) }) {
		w.broken("P8: %s after all was well the log is not folded: events up to %v, offsets %+v", time.Since(healed), last, w.writes.offsets)
	}
	time.Sleep(10 * time.Second) // for views and subscribers
	synctest.Wait()
}

func (w *world) until(deadline time.Time, done func() bool) bool {
	for !done() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(100 * time.Millisecond)
	}
	return true
}

// checkOwners counts owners and the collectors that claim to be.
func (w *world) checkOwners() {
	g := w.generation()
	resp, err := w.client.Get(w.ctx, w.base.Prefix("owners", string(g)), clientv3.WithPrefix())
	if err != nil {
		w.broken("asking for the owners: %v", err)
		return
	}
	if len(resp.Kvs) != partitions {
		w.broken("P8: %d of %d partitions have an owner %s after all was well", len(resp.Kvs), partitions, 2*leaseTTL+debounce)
	}
}

// checkClaims compares the partitions that collectors claim, when there is one generation.
func (w *world) checkClaims() {
	claims, who := 0, ""
	for _, p := range w.everybody() {
		if n := p.claims(); n > 0 {
			claims += n
			who += fmt.Sprintf(" %s %d", p.name, n)
		}
	}
	if claims != partitions {
		w.broken("P8: collectors say that they own %d partitions of %d:%s", claims, partitions, who)
	}
}

// lastEvents returns the revision of the newest event of each partition that has some.
func (w *world) lastEvents() map[events.Partition]int64 {
	last := map[events.Partition]int64{}
	head, err := w.log.Head(w.ctx)
	if err != nil {
		w.broken("asking for the head: %v", err)
	}
	for p := range events.Partition(partitions) {
		for ev, err := range w.log.Read(w.ctx, p, events.Revision{}, head) {
			if err != nil {
				w.broken("reading the log: %v", err)
				break
			}
			last[p] = ev.Revision.Number
		}
	}
	return last
}

func (w *world) folded(upto map[events.Partition]int64) bool {
	offsets, err := w.store.Offsets(w.ctx, w.generation())
	if err != nil {
		return false
	}
	for p, rev := range upto {
		if o := offsets[p]; o.Live.Number < rev || o.Series.Number < rev {
			return false
		}
	}
	return true
}

// check compares everything with a plain fold of exactly the events of the log.
func (w *world) check() {
	plain := map[events.HostID]*projections.Host{}
	past := history{}
	found := map[string]events.ContentHash{}
	head, err := w.log.Head(w.ctx)
	if err != nil {
		w.broken("asking for the head: %v", err)
	}
	for p := range events.Partition(partitions) {
		for ev, err := range w.log.Read(w.ctx, p, events.Revision{}, head) {
			if err == nil {
				err = ev.Damage
			}
			if err != nil {
				w.broken("reading the log: %v", err)
				return
			}
			found[ev.Key] = ev.Sequence
			if plain[ev.Host] == nil {
				plain[ev.Host] = &projections.Host{ID: ev.Host}
			}
			plain[ev.Host].Apply(&ev)
			past.gather(&ev)
		}
	}
	w.checkAcked(found)
	w.checkStored(plain, past)
	w.checkViews(plain)
}

// checkAcked: every acknowledged upload is there (P1), and nothing that was not sent.
func (w *world) checkAcked(found map[string]events.ContentHash) {
	s := w.senders
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, sequence := range s.acked {
		if got, there := found[key]; !there || got != sequence {
			w.broken("P1: event %s was acknowledged and is not in the log", key)
		}
	}
	for key, sequence := range found {
		if !s.sent[sequence] {
			w.broken("P1: event %s is in the log and was never sent", key)
		}
	}
}

// checkStored: the stored models are the plain fold, byte for byte (P2, P6).
func (w *world) checkStored(plain map[events.HostID]*projections.Host, past history) {
	g := w.generation()
	stored, err := w.store.Load(w.ctx, g)
	if err != nil {
		w.broken("loading what is stored: %v", err)
		return
	}
	if len(stored.Hosts) != len(plain) {
		w.broken("P2: %d hosts are stored, the log has %d", len(stored.Hosts), len(plain))
	}
	for _, s := range stored.Hosts {
		want := plain[s.Host]
		switch {
		case want == nil || s.Live == nil || s.Identity == nil:
			w.broken("P2: %s is stored with live %t, identity %t, and in the log: %t", s.Host, s.Live != nil, s.Identity != nil, want != nil)
			continue
		case !bytes.Equal(projections.AppendLive(nil, s.Live), projections.AppendLive(nil, &want.Live)):
			w.broken("P2: live of %s differs from the plain fold (-fold +stored):\n%s", s.Host, cut(gocmp.Diff(want.Live, *s.Live)))
		case !bytes.Equal(projections.AppendIdentity(nil, s.Identity), projections.AppendIdentity(nil, &want.Identity)):
			w.broken("P2: identity of %s differs from the plain fold (-fold +stored):\n%s", s.Host, cut(gocmp.Diff(want.Identity, *s.Identity)))
		}
		w.checkSeries(g, s.Partition, s.Host, past[s.Host])
	}
}

func (w *world) checkSeries(g projections.Generation, p events.Partition, host events.HostID, want map[projections.Window]*projections.HostWindow) {
	got, err := w.store.Series(w.ctx, g, p, host, slices.Sorted(maps.Keys(want)))
	if err != nil {
		w.broken("loading history: %v", err)
		return
	}
	if len(got) != len(want) {
		w.broken("P2: %s has %d windows of history, the plain fold %d", host, len(got), len(want))
	}
	for _, one := range got {
		if a, b := projections.AppendHostWindow(nil, &one.Series), projections.AppendHostWindow(nil, want[one.Window]); !bytes.Equal(a, b) {
			w.broken("P2: window %d of %s has %d records, the plain fold %d (or others)", one.Window, host, one.Series.Records(), want[one.Window].Records())
		}
	}
}

// checkViews: every hub shows the plain fold, and every subscriber has the view of its hub (P10).
func (w *world) checkViews(plain map[events.HostID]*projections.Host) {
	want := mirrorOf(gpusOf(plain))
	for _, p := range w.hubs {
		hub := p.hub.Load()
		if hub == nil {
			w.broken("%s has not come up", p.name)
			return
		}
		if got := mirrorOf(hub.State().GPUs()); !reflect.DeepEqual(want, got) {
			diff := gocmp.Diff(want, got)
			w.broken("P10: %s differs from the plain fold at %d; %v (-fold +view):\n%s", p.name, hub.State().At().Number, hub.Degraded(), cut(diff))
		}
		if last := slices.Max(append(slices.Collect(maps.Values(w.lastEvents())), 0)); hub.State().Folded().Number < last {
			w.broken("P8: %s says that the log is folded up to %d, its last event is %d; %v", p.name, hub.State().Folded().Number, last, hub.Degraded())
		}
	}
	for _, r := range w.readers {
		r.mu.Lock()
		if !reflect.DeepEqual(want, r.knows) {
			diff := gocmp.Diff(want, r.knows)
			w.broken("P10: %s at %d has a gap (-view +subscriber):\n%s", r, r.at, cut(diff))
		}
		r.mu.Unlock()
	}
}

// cut keeps the beginning of a long difference.
func cut(text string) string { return text[:min(len(text), 800)] }

// gpusOf merges the GPUs of hosts.
func gpusOf(plain map[events.HostID]*projections.Host) []*projections.GPU {
	fragments := map[events.GPUID][]projections.Fragment{}
	for _, h := range plain {
		for id, f := range h.Fragments(h.Identity.Names(h.ID)) {
			fragments[id] = append(fragments[id], f)
		}
	}
	var all []*projections.GPU
	for id, fs := range fragments {
		slices.SortFunc(fs, func(a, b projections.Fragment) int { return cmp.Compare(a.Host.ID, b.Host.ID) })
		all = append(all, projections.MergeGPU(id, fs)...)
	}
	return all
}
