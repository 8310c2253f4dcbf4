package transfer

import (
	"math"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// selected gives what of an event is wanted: the event itself when that is all of it, else an event of the part, with a
// sequence and a key of its own; false when nothing is.
func selected(ev *events.Event, f *filter.Filter, s span) (events.Event, bool) {
	if f.Matches(ev) == len(ev.Columns) && within(ev, s) {
		return *ev, true
	}
	var records []events.Record
	for i := range ev.Columns {
		c := &ev.Columns[i]
		if !f.Column(ev, c) {
			continue
		}
		for at, v := range c.All() {
			if at < s.from || at >= s.to {
				continue
			}
			text := v.Raw
			if v.Absent == events.Present {
				text = v.Number.String()
			}
			records = append(records, events.Record{
				Identity: &ev.Identities[c.Identity], Metric: c.Metric, Source: c.Source, At: at, Value: v, Text: []byte(text),
			})
		}
	}
	if len(records) == 0 {
		return events.Event{}, false
	}
	uncut := events.CutRules{EventRecords: math.MaxInt, EventBytes: math.MaxInt, OpenRecords: math.MaxInt}
	cutter := events.NewCutter(uncut, ev.Upload, ev.Zone)
	cutter.Row(ev.Host, 0, records)
	part := cutter.Flush()[0]
	part.AppendedAt, part.Revision = ev.AppendedAt, ev.Revision
	return part, true
}

// within tells whether all records of an event are of a range.
func within(ev *events.Event, s span) bool {
	for i := range ev.Columns {
		if t := ev.Columns[i].Times; len(t) > 0 && (t[0] < s.from || t[len(t)-1] >= s.to) {
			return false
		}
	}
	return true
}
