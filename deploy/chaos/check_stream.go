package main

import (
	"maps"
	"strings"
)

// follower applies a subscription's messages as a client would.
type follower struct {
	name  string
	v     *verdict
	view  reference
	cells map[cell]string
	last  int64 // the newest revision received
	whole bool  // cells are the whole state: a snapshot is complete, or the stream resumed
}

// checkStream checks at every position that a subscriber received that its state is exactly the state stored in etcd
// at that revision: nothing left out, nothing of later, and no position behind an earlier one, over all connections. It
// returns the state at the end.
func checkStream(name string, steps []step, view reference, v *verdict) map[cell]string {
	f := follower{name: name, v: v, view: view, cells: map[cell]string{}}
	for i := range steps {
		f.applyMessage(&steps[i])
	}
	return f.cells
}

func streamVerdict() verdict {
	return verdict{promise: "a subscriber never sees a gap, and no revision goes back, over all of its connections",
		how: "at each delivered position, the state by its messages against the live models stored at that revision"}
}

func (f *follower) applyMessage(s *step) {
	switch s.kind {
	case "hello", "lag", "bye", "pong":
		return
	case "ack":
		f.whole = s.resumed
		if s.resumed && s.rev != f.last {
			f.v.addFailure("%s, connection %d: resumed at %d, not at %d", f.name, s.conn, s.rev, f.last)
		}
		return
	case "reset":
		f.whole = false
		return
	case "snap":
		if s.part == 0 {
			clear(f.cells)
		}
		f.whole = s.rev > 0
	case "upd", "synced", "hb":
	default:
		f.v.addFailure("%s, connection %d: got %.200s", f.name, s.conn, s.kind)
		return
	}
	for _, gpu := range s.removed {
		maps.DeleteFunc(f.cells, func(c cell, _ string) bool { return c.gpu == gpu })
	}
	for _, c := range s.cells {
		f.cells[c.cell] = c.value
	}
	if s.rev > 0 {
		f.checkReported(s)
	}
}

// checkReported compares at a position.
func (f *follower) checkReported(s *step) {
	f.v.checked++
	if s.rev < f.last {
		f.v.addFailure("%s, connection %d: %s at revision %d after %d", f.name, s.conn, s.kind, s.rev, f.last)
	}
	f.last = max(f.last, s.rev)
	if !f.whole {
		return
	}
	var wrong []string
	matched := 0
	for c := range f.view {
		want := f.view.readingAt(c, s.rev)
		got, there := f.cells[c]
		if there {
			matched++
		}
		if got != want {
			wrong = append(wrong, c.metric+" of "+c.gpu+": has "+got+", stored is "+want)
		}
	}
	if matched < len(f.cells) {
		wrong = append(wrong, "it has readings that were never stored")
	}
	if len(wrong) > 0 {
		f.v.addFailure("%s, connection %d: %s at revision %d: %d readings differ, such as %s", f.name, s.conn, s.kind, s.rev, len(wrong), strings.Join(wrong[:min(2, len(wrong))], "; "))
		f.whole = false // until the next snapshot: one gap is reported once
	}
}

// checkEnds holds that the state of a subscriber at the end is the state in the answers of REST.
func checkEnds(name string, cells map[cell]string, gpus []newest, v *verdict) {
	rest := map[cell]string{}
	for _, g := range gpus {
		for metric := range g.Times {
			rest[cell{g.ID, metric}] = g.value(metric)
		}
	}
	for c, want := range rest {
		v.checked++
		if cells[c] != want {
			v.addFailure("%s: %s of %s is %q, REST says %s", name, c.metric, c.gpu, cells[c], want)
		}
	}
	for c := range cells {
		if _, there := rest[c]; !there {
			v.addFailure("%s: %s of %s is not in REST", name, c.metric, c.gpu)
		}
	}
}
