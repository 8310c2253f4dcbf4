package transfer

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// selectPart returns the selected part of an event: the event itself when all of it is selected, else an event of the
// part, with a content hash and a key of its own. It returns false when nothing is selected.
func selectPart(ev *events.Event, f *filter.Filter, s timeRange) (events.Event, bool) {
	if f.CountColumns(ev) == len(ev.Columns) && inRange(ev, s) {
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
	cutter := events.NewCutter(events.Uncut(), ev.Upload, ev.Zone)
	cutter.Row(ev.Host, 0, records)
	part := cutter.Flush()[0]
	part.AppendedAt, part.Revision = ev.AppendedAt, ev.Revision
	return part, true
}

// inRange reports whether all records of an event are in a range.
func inRange(ev *events.Event, s timeRange) bool {
	for i := range ev.Columns {
		if t := ev.Columns[i].Times; len(t) > 0 && (t[0] < s.from || t[len(t)-1] >= s.to) {
			return false
		}
	}
	return true
}
