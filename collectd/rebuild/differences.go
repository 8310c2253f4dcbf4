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

// differences compares the active generation with a rebuilt one, and reports what differs.
type differences struct {
	printf         func(format string, args ...any)
	hosts, windows int
	found          int
}

// maxReported bounds the differences that are reported one by one; all are counted.
const maxReported = 100

func (d *differences) report(format string, args ...any) {
	d.found++
	switch {
	case d.found <= maxReported:
		d.printf(format, args...)
	case d.found == maxReported+1:
		d.printf("… and more, which are only counted")
	}
}

// compareModels compares live and identity of a partition's hosts.
func (d *differences) compareModels(active, rebuilt map[events.HostID]*projections.Host) {
	all := maps.Clone(active)
	maps.Copy(all, rebuilt)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		d.hosts++
		a, b := active[id], rebuilt[id]
		switch {
		case a == nil:
			d.report("host %s: only in the rebuilt generation", id)
		case b == nil:
			d.report("host %s: only in the active generation", id)
		default:
			d.compareLive(id, &a.Live, &b.Live)
			d.compareIdentity(id, &a.Identity, &b.Identity)
		}
	}
}

func (d *differences) compareLive(id events.HostID, a, b *projections.Live) {
	if bytes.Equal(projections.AppendLive(nil, a), projections.AppendLive(nil, b)) {
		return
	}
	before, now := latestReadings(a), latestReadings(b)
	all := maps.Clone(before)
	maps.Copy(all, now)
	reported := 0
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if before[key] != now[key] {
			d.report("host %s: live: %s: active %s, rebuilt %s", id, key, orNothing(before[key]), orNothing(now[key]))
			reported++
		}
	}
	if reported == 0 {
		d.report("host %s: live: the same readings, but other fields or labels, or other times of append", id)
	}
}

// latestReadings returns the latest reading of each entity and metric as text.
func latestReadings(l *projections.Live) map[string]string {
	all := map[string]string{}
	for i := range l.Entities {
		e := &l.Entities[i]
		for _, r := range e.Latest {
			all[entityName(e.Entity)+" "+r.Metric] = fmt.Sprintf("%s at %s (as %s)", valueText(r.Value), r.At, r.Source)
		}
	}
	return all
}

func entityName(e events.Entity) string {
	if e.Part == "" {
		return string(e.GPU)
	}
	return string(e.GPU) + "/" + e.Part
}

func valueText(v events.Value) string {
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

func (d *differences) compareIdentity(id events.HostID, a, b *projections.Identity) {
	if bytes.Equal(projections.AppendIdentity(nil, a), projections.AppendIdentity(nil, b)) {
		return
	}
	reported := 0
	for _, one := range []struct {
		here, there *projections.Identity
		only        string
	}{{a, b, "active"}, {b, a, "rebuilt"}} {
		for i := range one.here.GPUs {
			k := &one.here.GPUs[i]
			other, known := one.there.Find(k.Name)
			if !known {
				d.report("host %s: identity: %s: only in the %s generation", id, nameOfGPU(k.Name), one.only)
				reported++
			} else if one.only == "active" && other.FirstSeen != k.FirstSeen {
				d.report("host %s: identity: %s: first seen at %s, rebuilt at %s", id, nameOfGPU(k.Name), k.FirstSeen, other.FirstSeen)
				reported++
			} else if one.only == "active" && !slices.Equal(k.Runs, other.Runs) {
				d.report("host %s: identity: %s: had %v, rebuilt %v", id, nameOfGPU(k.Name), k.Runs, other.Runs)
				reported++
			}
		}
	}
	if !slices.Equal(a.Windows, b.Windows) {
		d.report("host %s: identity: hours that hold records: active %v, rebuilt %v", id, a.Windows, b.Windows)
	} else if reported == 0 {
		d.report("host %s: identity: differs in the parts of GPUs, or in the hours that hold their records", id)
	}
}

// nameOfGPU returns a GPU's name for people. The host itself has none.
func nameOfGPU(name events.GPUID) string { return cmp.Or(string(name), "the host itself") }

// compareHistories compares the stored history of each host and window. rest are records that neither need have
// stored yet. Windows before from have left one of the two.
func (d *differences) compareHistories(active, rebuilt iter.Seq2[snapshot.HostSeries, error], rest windowRecords, from projections.Window) error {
	a, b := newHistoryStream(active), newHistoryStream(rebuilt)
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
		if !a.more || b.more && b.at.compareTo(a.at) < 0 {
			at = b.at
		}
		var before, now projections.HostWindow
		if a.more && a.at == at {
			before = a.series
			a.advance()
		}
		if b.more && b.at == at {
			now = b.series
			b.advance()
		}
		if from != 0 && at.window < from {
			continue
		}
		if more := rest[at]; more != nil {
			before.Add(*more)
			now.Add(*more)
		}
		d.compareWindow(at, &before, &now)
	}
}

func (d *differences) compareWindow(at windowKey, a, b *projections.HostWindow) {
	d.windows++
	if bytes.Equal(projections.AppendHostWindow(nil, a), projections.AppendHostWindow(nil, b)) {
		return
	}
	both := projections.Merge(*a)
	onlyNow := both.Add(*b)
	both = projections.Merge(*b)
	onlyBefore := both.Add(*a)
	d.report("host %s: history of the hour from %s: %d records active, %d rebuilt; only active: %s; only rebuilt: %s", at.host, at.window.Start(),
		a.Records(), b.Records(), sampleText(&onlyBefore), sampleText(&onlyNow))
}

// sampleText returns the number of records and some of them as text.
func sampleText(s *projections.HostWindow) string {
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
		some = append(some, fmt.Sprintf("%s %s %s at %s", entityName(s.Columns[i].Entity), s.Columns[i].Metric, valueText(v), at))
	}
	return fmt.Sprintf("%d, such as %s", n, strings.Join(some, ", "))
}

// historyStream is a history read entry by entry.
type historyStream struct {
	at     windowKey
	series projections.HostWindow
	more   bool
	err    error
	pull   func() (snapshot.HostSeries, error, bool)
	stop   func()
}

func newHistoryStream(of iter.Seq2[snapshot.HostSeries, error]) *historyStream {
	s := &historyStream{}
	s.pull, s.stop = iter.Pull2(of)
	s.advance()
	return s
}

func (s *historyStream) advance() {
	var h snapshot.HostSeries
	h, s.err, s.more = s.pull()
	s.at, s.series = windowKey{h.Window, h.Host}, h.Series
}
