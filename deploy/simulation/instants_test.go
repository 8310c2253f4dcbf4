package simulation

import (
	"encoding/json"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventstest/model"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// replica is the stored state after some transaction.
type replica struct {
	w     *world
	kv    clientv3.KV
	store *snapshot.Store
	log   map[events.Partition][]events.Event
	live  map[share][]events.Event // those that no offset has covered yet
	old   map[share][]events.Event // and for series
}

// share is a partition in a generation.
type share struct {
	generation projections.Generation
	partition  events.Partition
}

// checkInstants goes through everything that was stored, transaction by transaction: at no instant do offsets say of an event
// that it is stored which is not, so that a process that died at that moment took nothing along (P2).
func (w *world) checkInstants() {
	client, err := model.New(w.t, model.Options{}).Client("replica").Connect(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	r := &replica{w: w, kv: client, store: snapshot.New(client, w.base, w.log.Facts(), nil),
		log: map[events.Partition][]events.Event{}, live: map[share][]events.Event{}, old: map[share][]events.Event{}}
	head, err := w.log.Head(w.ctx)
	if err != nil {
		w.broken("asking for the head: %v", err)
		return
	}
	for p := range events.Partition(partitions) {
		for ev, err := range w.log.Read(w.ctx, p, events.Revision{}, head) {
			if err != nil {
				w.broken("reading the log: %v", err)
				return
			}
			r.log[p] = append(r.log[p], ev)
		}
	}
	for _, c := range w.writes.history {
		if err := r.apply(c); err != nil {
			w.broken("looking at what was stored at %d: %v", c.Revision, err)
			return
		}
	}
}

// apply takes over a transaction and checks its offsets against the state stored then.
func (r *replica) apply(c model.Commit) error {
	var ops []clientv3.Op
	for _, ev := range c.Events {
		if ev.Type == clientv3.EventTypeDelete {
			ops = append(ops, clientv3.OpDelete(string(ev.Kv.Key)))
		} else {
			ops = append(ops, clientv3.OpPut(string(ev.Kv.Key), string(ev.Kv.Value)))
		}
	}
	if _, err := r.kv.Txn(r.w.ctx).Then(ops...).Commit(); err != nil {
		return err
	}
	for _, ev := range c.Events {
		slot, isOffset := r.w.writes.slot(string(ev.Kv.Key))
		if !isOffset || ev.Type == clientv3.EventTypeDelete {
			continue
		}
		var o offset
		if err := json.Unmarshal(ev.Kv.Value, &o); err != nil {
			return err
		}
		generation, name, _ := strings.Cut(slot, "/")
		p, err := events.ParsePartition(name)
		if err != nil {
			return err
		}
		if err := r.covered(projections.Generation(generation), p, o, c.Revision); err != nil {
			return err
		}
	}
	return nil
}

// covered returns the events that offsets cover and the offsets before did not.
func (r *replica) covered(g projections.Generation, p events.Partition, o offset, at int64) error {
	of := share{g, p}
	if _, met := r.live[of]; !met {
		r.live[of], r.old[of] = r.log[p], r.log[p]
	}
	live, old := upTo(r.live, of, o.Live), upTo(r.old, of, o.Series)
	if len(live) > 0 {
		part, err := r.store.LoadPartition(r.w.ctx, g, p)
		if err != nil {
			return err
		}
		hosts := map[events.HostID]projections.Host{}
		for _, h := range part.Hosts {
			hosts[h.ID] = h
		}
		for i := range live {
			h := hosts[live[i].Host]
			if effect := h.Apply(&live[i]); effect.Live || effect.Identity {
				r.w.broken("P2: offsets of partition %d, written at %d, say that live is stored up to %d; event %d of %s is not", p, at, o.Live, live[i].Revision.Number, live[i].Host)
			}
		}
	}
	want := history{}
	for i := range old {
		want.gather(&old[i])
	}
	return want.each(func(host events.HostID, window projections.Window, series *projections.HostWindow) error {
		got, err := r.store.Series(r.w.ctx, g, p, host, []projections.Window{window})
		if err != nil {
			return err
		}
		var have projections.HostWindow
		if len(got) > 0 {
			have = got[0].Series
		}
		if lacks := have.Add(*series); lacks.Records() > 0 {
			r.w.broken("P2: offsets of partition %d, written at %d, say that series are stored up to %d; %d records of %s in window %d are not", p, at, o.Series, lacks.Records(), host, window)
		}
		return nil
	})
}

// upTo takes the events of a share up to a revision.
func upTo(all map[share][]events.Event, p share, rev int64) []events.Event {
	n := 0
	for n < len(all[p]) && all[p][n].Revision.Number <= rev {
		n++
	}
	taken := all[p][:n]
	all[p] = all[p][n:]
	return taken
}
