package rebuild

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// differences finds what differs between the active generation and a rebuilt one, and tells it to a person.
type differences struct {
	tell           func(format string, args ...any)
	hosts, windows int
	found          int
}

// maxTold bounds how many differences are told one by one; all are counted.
const maxTold = 100

func (d *differences) say(format string, args ...any) {
	d.found++
	switch {
	case d.found <= maxTold:
		d.tell(format, args...)
	case d.found == maxTold+1:
		d.tell("… and more, which are only counted")
	}
}

// models compares live and identity of a partition's hosts.
func (d *differences) models(active, rebuilt map[events.HostID]*projections.Host) {
	all := maps.Clone(active)
	maps.Copy(all, rebuilt)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		d.hosts++
		a, b := active[id], rebuilt[id]
		switch {
		case a == nil:
			d.say("host %s: only in the rebuilt generation", id)
		case b == nil:
			d.say("host %s: only in the active generation", id)
		default:
			d.live(id, &a.Live, &b.Live)
			d.identity(id, &a.Identity, &b.Identity)
		}
	}
}

func (d *differences) live(id events.HostID, a, b *projections.Live) {
	if bytes.Equal(projections.AppendLive(nil, a), projections.AppendLive(nil, b)) {
		return
	}
	before, now := readings(a), readings(b)
	all := maps.Clone(before)
	maps.Copy(all, now)
	told := 0
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if before[key] != now[key] {
			d.say("host %s: live: %s: active %s, rebuilt %s", id, key, orNothing(before[key]), orNothing(now[key]))
			told++
		}
	}
	if told == 0 {
		d.say("host %s: live: the same readings under other identities, or last seen at other times", id)
	}
}

// readings gives for each entity and metric what is known of it, in words.
func readings(l *projections.Live) map[string]string {
	all := map[string]string{}
	for i := range l.Entities {
		e := &l.Entities[i]
		for _, r := range e.Latest {
			all[name(e.Entity)+" "+r.Metric] = fmt.Sprintf("%s at %s (as %s)", words(r.Value), r.At, r.Source)
		}
	}
	return all
}

func name(e events.Entity) string {
	if e.Part == "" {
		return string(e.GPU)
	}
	return string(e.GPU) + "/" + e.Part
}

func words(v events.Value) string {
	if v.Absent != events.Present {
		return fmt.Sprintf("absent (%v %q)", v.Absent, v.Raw)
	}
	return v.Number.String()
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

func (d *differences) identity(id events.HostID, a, b *projections.Identity) {
	if bytes.Equal(projections.AppendIdentity(nil, a), projections.AppendIdentity(nil, b)) {
		return
	}
	told := 0
	for _, one := range []struct {
		here, there *projections.Identity
		only        string
	}{{a, b, "active"}, {b, a, "rebuilt"}} {
		for i := range one.here.Known {
			k := &one.here.Known[i]
			other, known := one.there.Find(k.ID)
			if !known {
				d.say("host %s: identity: %s %s: only in the %s generation", id, k.Identity.Index, k.Identity.UUID, one.only)
				told++
			} else if one.only == "active" && other.FirstSeen != k.FirstSeen {
				d.say("host %s: identity: %s %s: first seen at %s, rebuilt at %s", id, k.Identity.Index, k.Identity.UUID, k.FirstSeen, other.FirstSeen)
				told++
			}
		}
	}
	if !slices.Equal(a.Windows, b.Windows) {
		d.say("host %s: identity: hours that hold records: active %v, rebuilt %v", id, a.Windows, b.Windows)
	} else if told == 0 {
		d.say("host %s: identity: differs in what identities say", id)
	}
}

// histories compares what is stored of each host and window, with rest, which neither need have stored yet. Windows
// before from have left one of the two.
func (d *differences) histories(active, rebuilt iter.Seq2[snapshot.HostSeries, error], rest history, from projections.Window) error {
	a, b := newStream(active), newStream(rebuilt)
	defer a.stop()
	defer b.stop()
	for {
		if err := cmp.Or(a.err, b.err); err != nil {
			return err
		}
		if !a.more && !b.more {
			return nil
		}
		at := a.at
		if !a.more || b.more && b.at.compare(a.at) < 0 {
			at = b.at
		}
		var before, now projections.HostWindow
		if a.more && a.at == at {
			before = a.series
			a.next()
		}
		if b.more && b.at == at {
			now = b.series
			b.next()
		}
		if from != 0 && at.window < from {
			continue
		}
		if more := rest[at]; more != nil {
			before.Add(*more)
			now.Add(*more)
		}
		d.series(at, &before, &now)
	}
}

func (d *differences) series(at place, a, b *projections.HostWindow) {
	d.windows++
	if bytes.Equal(projections.AppendHostWindow(nil, a), projections.AppendHostWindow(nil, b)) {
		return
	}
	both := projections.Merge(*a)
	onlyNow := both.Add(*b)
	both = projections.Merge(*b)
	onlyBefore := both.Add(*a)
	d.say("host %s: history of the hour from %s: %d records active, %d rebuilt; only active: %s; only rebuilt: %s", at.host, at.window.Start(),
		a.Records(), b.Records(), sample(&onlyBefore), sample(&onlyNow))
}

// sample tells how many records there are, and some of them.
func sample(s *projections.HostWindow) string {
	n := s.Records()
	if n == 0 {
		return "none"
	}
	var some []string
	for i := range s.Columns {
		if len(some) == 3 {
			break
		}
		at, v := s.Columns[i].At(0)
		some = append(some, fmt.Sprintf("%s %s %s at %s", name(s.Columns[i].Entity), s.Columns[i].Metric, words(v), at))
	}
	return fmt.Sprintf("%d, such as %s", n, strings.Join(some, ", "))
}

// stream is a history read entry by entry.
type stream struct {
	at     place
	series projections.HostWindow
	more   bool
	err    error
	pull   func() (snapshot.HostSeries, error, bool)
	stop   func()
}

func newStream(of iter.Seq2[snapshot.HostSeries, error]) *stream {
	s := &stream{}
	s.pull, s.stop = iter.Pull2(of)
	s.next()
	return s
}

func (s *stream) next() {
	var h snapshot.HostSeries
	h, s.err, s.more = s.pull()
	s.at, s.series = place{h.Window, h.Host}, h.Series
}
