package tail

import (
	"fmt"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// lines writes events as lines.
type lines struct {
	filter *filter.Filter
	events bool
	json   bool
}

// count tells how many lines an event takes.
func (l *lines) count(ev *events.Event) int {
	switch {
	case ev.Damage != nil:
		if l.shown(ev) {
			return 1
		}
		return 0
	case l.events:
		return min(l.filter.Matches(ev), 1)
	}
	n := 0
	for i := range ev.Columns {
		if l.filter.Column(ev, &ev.Columns[i]) {
			n += ev.Columns[i].Len()
		}
	}
	return n
}

// shown tells whether a damaged event is shown, of which nothing but the host may be known.
func (l *lines) shown(ev *events.Event) bool {
	return len(l.filter.GPUs)+len(l.filter.Metrics) == 0 && (l.filter.Host(ev.Host) || ev.Host == "")
}

// append writes the lines of an event but for the first skip.
func (l *lines) append(dst []byte, ev *events.Event, skip int) []byte {
	switch {
	case skip >= l.count(ev):
		return dst
	case ev.Damage != nil || l.events:
		return l.appendEvent(dst, ev)
	}
	for i := range ev.Columns {
		c := &ev.Columns[i]
		if !l.filter.Column(ev, c) {
			continue
		}
		r := events.Record{Identity: &ev.Identities[c.Identity], Metric: c.Metric, Source: c.Source}
		for r.At, r.Value = range c.All() {
			if skip--; skip < 0 {
				dst = l.appendRecord(dst, ev, &r)
			}
		}
	}
	return dst
}

// appendRecord writes a record's line; as JSON with the members that the query API has for one.
func (l *lines) appendRecord(dst []byte, ev *events.Event, r *events.Record) []byte {
	if l.json {
		w := events.JSONWriter{Buf: dst, EscapeHTML: true}
		w.Open('{')
		w.Record(events.QueryNames, r, events.FieldAt)
		w.Identity(events.QueryNames, ev.Host, r.Identity, events.FieldHost|events.Always, events.FieldGPU, events.FieldIndex, events.FieldPart)
		w.Record(events.QueryNames, r, events.FieldMetric|events.Always, events.FieldSource|events.Always, events.FieldValue,
			events.FieldAbsent, events.FieldRaw)
		w.Event(events.QueryNames, ev, events.FieldRevision)
		w.Close('}')
		return append(w.Buf, '\n')
	}
	value := r.Value.Number.String()
	if r.Value.Absent != events.Present {
		value = "- (" + r.Value.Absent.String()
		if r.Value.Raw != "" {
			value += " " + plain(r.Value.Raw)
		}
		value += ")"
	}
	gpu := gpuName(r.Identity, r.Identity.Entity(ev.Host))
	return fmt.Appendf(dst, "%s  %s  %s  %s  %s\n", r.At, plain(string(ev.Host)), plain(gpu), plain(r.Metric), value)
}

// gpuName names a GPU within its host, shortly, and a part of it.
func gpuName(id *events.Identity, entity events.Entity) string {
	name := string(entity.GPU)
	switch {
	case id.Index != "":
		name = id.Index
	case name == "":
		name = "-"
	}
	if entity.Part != "" {
		name += "/" + entity.Part
	}
	return name
}

// appendEvent writes an event's line; as JSON with the members that the query API has for one.
func (l *lines) appendEvent(dst []byte, ev *events.Event) []byte {
	if l.json {
		w := events.JSONWriter{Buf: dst, EscapeHTML: true}
		w.Open('{')
		w.Event(events.QueryNames, ev, events.FieldKey|events.Always, events.FieldRevision, events.FieldHost, events.FieldDamage,
			events.FieldAppendedAt, events.FieldUpload, events.FieldFirst, events.FieldLast, events.FieldRecords, events.FieldGPUs,
			events.FieldMetrics)
		w.Close('}')
		return append(w.Buf, '\n')
	}
	if ev.Damage != nil {
		return fmt.Appendf(dst, "%s  %s  damaged: %s\n", ev.Revision, plain(ev.Key), plain(ev.DamageText()))
	}
	appended := ""
	if ev.AppendedAt != 0 {
		appended = ev.AppendedAt.String()
	}
	first, last, _ := ev.Span()
	dst = fmt.Appendf(dst, "%s  %s  %s  %d records of %d GPUs and %d metrics from %s to %s", ev.Revision, appended, plain(string(ev.Host)),
		ev.Records(), len(ev.GPUs()), len(ev.Metrics()), first, last)
	if ev.Upload != "" {
		dst = append(append(dst, "  upload "...), plain(string(ev.Upload))...)
	}
	return append(dst, '\n')
}

// plain quotes a text that would break a line apart or write to the terminal.
func plain(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
