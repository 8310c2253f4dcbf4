package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// models are the models of hosts, in bytes.
type models map[string][]byte

// replayed holds the models of the log, folded from its beginning.
type replayed struct {
	models   models
	readings map[reading]bool // every record of the log
	events   int
	traced   int // events with the context of a trace
	damaged  []string
}

// replayLog folds the whole log by the pure functions alone, and makes models as a collector would have to have stored them.
func replayLog(ctx context.Context, log *eventlog.Log) (replayed, error) {
	r := replayed{models: models{}, readings: map[reading]bool{}}
	head, err := log.Head(ctx)
	if err != nil {
		return r, err
	}
	for p := range events.Partition(log.Facts().Partitions) {
		folded := map[events.HostID]*projections.Host{}
		series := map[string]*projections.HostWindow{}
		for ev, err := range log.Read(ctx, p, events.Revision{}, head) {
			if err != nil {
				return r, err
			}
			r.addEvent(&ev, folded, series)
		}
		for id, host := range folded {
			r.models.addModel(id, host)
		}
		for name, s := range series {
			r.models[name] = projections.AppendHostWindow(nil, s)
		}
	}
	return r, nil
}

func (r *replayed) addEvent(ev *events.Event, folded map[events.HostID]*projections.Host, series map[string]*projections.HostWindow) {
	if r.events++; ev.Damage != nil {
		r.damaged = append(r.damaged, fmt.Sprintf("%s: %v", ev.Key, ev.Damage))
		return
	}
	if !ev.Trace.IsZero() {
		r.traced++
	}
	host := folded[ev.Host]
	if host == nil {
		host = &projections.Host{ID: ev.Host}
		folded[ev.Host] = host
	}
	effect := host.Apply(ev)
	for _, some := range []map[projections.Window]projections.HostWindow{effect.Fresh, effect.Late} {
		for w, records := range some {
			name := seriesName(ev.Host, w)
			if series[name] == nil {
				series[name] = new(projections.HostWindow)
			}
			series[name].Add(records)
		}
	}
	for i := range ev.Columns {
		c := &ev.Columns[i]
		gpu := ev.Identities[c.Identity].Entity(ev.Host).GPU
		for _, at := range c.Times {
			r.readings[reading{string(gpu), c.Metric, int64(at)}] = true
		}
	}
}

func seriesName(host events.HostID, w projections.Window) string {
	return fmt.Sprintf("series of %s in window %d", host, w)
}

func (m models) addModel(id events.HostID, host *projections.Host) {
	m["live of "+string(id)] = projections.AppendLive(nil, &host.Live)
	m["identity of "+string(id)] = projections.AppendIdentity(nil, &host.Identity)
}

// loadStored reads the models that the collectors stored.
func loadStored(ctx context.Context, store *snapshot.Store, count int) (models, error) {
	g, err := store.Active(ctx)
	if err != nil {
		return nil, err
	}
	m := models{}
	for p := range events.Partition(count) {
		part, err := store.LoadPartition(ctx, g, p)
		if err != nil {
			return nil, err
		}
		for i := range part.Hosts {
			host := &part.Hosts[i]
			m.addModel(host.ID, host)
			windows, err := store.Series(ctx, g, p, host.ID, windowsOf(&host.Identity))
			if err != nil {
				return nil, err
			}
			for _, w := range windows {
				m[seriesName(host.ID, w.Window)] = projections.AppendHostWindow(nil, &w.Series)
			}
		}
	}
	return m, nil
}

func windowsOf(id *projections.Identity) []projections.Window {
	var all []projections.Window
	for _, span := range id.Windows {
		for w := span.First; w <= span.Last; w++ {
			all = append(all, w)
		}
	}
	return all
}

// checkReplay checks that folding the log again makes the stored models, byte for byte.
func checkReplay(want, got models, damaged []string) verdict {
	v := verdict{promise: "replay makes equal projections", how: "the log folded from its beginning by projections.Host.Apply against the stored live, identity and united series, byte for byte"}
	for _, d := range damaged {
		v.addFailure("event cannot be used: %s", d)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v.checked++
		if have, there := got[name]; !there {
			v.addFailure("%s is not stored", name)
		} else if !bytes.Equal(have, want[name]) {
			v.addFailure("%s differs: %d bytes stored, %d bytes by replay", name, len(have), len(want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, there := want[name]; !there {
			v.addFailure("%s is stored, and the log does not give it", name)
		}
	}
	return v
}

// checkInLog checks that every acknowledged upload is in the log.
func checkInLog(inLog map[reading]bool, acked map[reading]bool) verdict {
	v := verdict{promise: "every acknowledged record is in the log", how: "all events against the uploads that were answered 200"}
	for r := range acked {
		v.checked++
		if !inLog[r] {
			v.addFailure("%s, acknowledged, is in no event", r)
		}
	}
	return v
}

// checkTraced checks that the run had events with the context of a trace.
func (r *replayed) checkTraced() verdict {
	return verdict{promise: "events with the context of a trace are events as any others, for either release", how: "the events that have one; every other comparison includes them", checked: r.traced}
}
