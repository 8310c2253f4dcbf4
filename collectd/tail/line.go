package tail

import (
	"fmt"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// lineFormat writes events as lines.
type lineFormat struct {
	filter *filter.Filter
	events bool
	json   bool
}

// lineCount returns the number of lines of an event.
func (l *lineFormat) lineCount(ev *events.Event) int {
	switch {
	case ev.Damage != nil:
		if l.showsDamaged(ev) {
			return 1
		}
		return 0
	case l.events:
		return min(l.filter.CountColumns(ev), 1)
	}
	n := 0
	for i := range ev.Columns {
		if l.filter.Column(ev, &ev.Columns[i]) {
			n += ev.Columns[i].Len()
		}
	}
	return n
}

// showsDamaged reports whether a damaged event is shown, of which only the host may be known.
func (l *lineFormat) showsDamaged(ev *events.Event) bool {
	return len(l.filter.GPUs)+len(l.filter.Metrics) == 0 && (l.filter.Host(ev.Host) || ev.Host == "")
}

// appendLines appends the lines of an event except the first skip.
func (l *lineFormat) appendLines(dst []byte, ev *events.Event, skip int) []byte {
	switch {
	case skip >= l.lineCount(ev):
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

// appendRecord appends a record's line; as JSON with the members of the query API.
func (l *lineFormat) appendRecord(dst []byte, ev *events.Event, r *events.Record) []byte {
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
			value += " " + quoteUnprintable(r.Value.Raw)
		}
		value += ")"
	}
	gpu := gpuName(r.Identity, r.Identity.Entity(ev.Host))
	return fmt.Appendf(dst, "%s  %s  %s  %s  %s\n", r.At, quoteUnprintable(string(ev.Host)), quoteUnprintable(gpu), quoteUnprintable(r.Metric), value)
}

// gpuName returns a short name of a GPU within its host, with its part.
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

// appendEvent appends an event's line; as JSON with the members of the query API.
func (l *lineFormat) appendEvent(dst []byte, ev *events.Event) []byte {
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
		return fmt.Appendf(dst, "%s  %s  damaged: %s\n", ev.Revision, quoteUnprintable(ev.Key), quoteUnprintable(ev.DamageText()))
	}
	appended := ""
	if ev.AppendedAt != 0 {
		appended = ev.AppendedAt.String()
	}
	first, last, _ := ev.Span()
	dst = fmt.Appendf(dst, "%s  %s  %s  %d records of %d GPUs and %d metrics from %s to %s", ev.Revision, appended, quoteUnprintable(string(ev.Host)),
		ev.Records(), len(ev.GPUs()), len(ev.Metrics()), first, last)
	if ev.Upload != "" {
		dst = append(append(dst, "  upload "...), quoteUnprintable(string(ev.Upload))...)
	}
	return append(dst, '\n')
}

// quoteUnprintable quotes a text that would break a line apart or control the terminal.
func quoteUnprintable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
