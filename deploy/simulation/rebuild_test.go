package simulation

import (
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// rebuild asks for a new generation that is to become active, as the command does; one that is being built already is
// enough.
func (w *world) rebuild() {
	all, err := w.store.Generations(w.ctx)
	if err != nil || all.Active == "" || all.Successor(snapshot.ModelVersion) != "" {
		return
	}
	if g, err := w.store.Create(w.ctx, all, snapshot.ModelVersion, true); err == nil {
		w.note("… generation %s is to follow %s", g, all.Active)
		w.rebuilds = append(w.rebuilds, g)
	}
}

// giveUp retires a generation that is being built.
func (w *world) giveUp() {
	all, err := w.store.Generations(w.ctx)
	if err != nil {
		return
	}
	if g := all.Successor(snapshot.ModelVersion); g != "" {
		err := w.store.Retire(w.ctx, g, all.All[g], func(g projections.Generation) clientv3.Op { return partition.Evict(w.base, string(g)) })
		w.note("… giving up generation %s: %v", g, err)
	}
}

// isRebuilt reports whether there is one generation, and it is active.
func (w *world) isRebuilt() bool {
	all, err := w.store.Generations(w.ctx)
	if err != nil || len(all.All) != 1 {
		return false
	}
	if len(w.rebuilds) > 0 && w.rebuilds[len(w.rebuilds)-1] == all.Active {
		w.count(rebuilt, 1)
		w.rebuilds = nil
	}
	return all.All[all.Active].State == snapshot.Active
}
