package rest

import (
	"slices"

	"telemetry-pipeline/events"
)

// layout is the text that lists of readings of the same metrics share: the keys, and the reading whose number follows
// each. Consecutive lists mostly have the same metrics, so a writer keeps the layout of the last list.
type layout struct {
	metrics []string        // of the last list
	built   bool            // the fields below are for these metrics
	named   []slot          // fields of their own
	all     []slot          // members of metrics
	numbers []events.Number // of the current list
	texts   []textRange     // by reading: the position of its number as a named field, because most numbers are written twice
}

// slot is a key, with the comma before it, and the reading whose number follows.
type slot struct {
	key     string
	reading int
}

// textRange is a part of the written text.
type textRange struct{ from, to int }

// matchReadings reports whether the layout fits a list of n readings, and takes their numbers. It fits if all
// readings are numbers, no two have the same metric, and the last list had the same metrics.
func (l *layout) matchReadings(fields namedFields, n int, at func(i int) (metric string, v events.Value)) bool {
	same := n == len(l.metrics)
	l.numbers = l.numbers[:0]
	for i, last := 0, ""; i < n; i++ {
		metric, v := at(i)
		if v.Absent != events.Present || i > 0 && metric == last {
			return false
		}
		same = same && metric == l.metrics[i]
		l.numbers, last = append(l.numbers, v.Number), metric
	}
	if !same {
		l.built, l.metrics = false, l.metrics[:0]
		for i := range n {
			metric, _ := at(i)
			l.metrics = append(l.metrics, metric)
		}
		return false
	}
	if !l.built {
		l.buildSlots(fields)
	}
	return true
}

// buildSlots builds the slots for the metrics.
func (l *layout) buildSlots(fields namedFields) {
	l.built, l.named, l.all = true, nil, nil
	l.texts = make([]textRange, len(l.metrics))
	for _, f := range fields {
		if i, ok := slices.BinarySearch(l.metrics, f.Metric); ok {
			l.named = append(l.named, slot{"," + memberKey(f.Name), i})
		}
	}
	for i, metric := range l.metrics {
		comma := ","
		if i == 0 {
			comma = ""
		}
		l.all = append(l.all, slot{comma + memberKey(metric), i})
	}
}

// memberKey returns the text that starts a member of an object.
func memberKey(name string) string {
	var w events.JSONWriter
	w.Key(name)
	return string(w.Buf)
}

// writeWithLayout writes the readings that were just matched, behind other members.
func (w *writer) writeWithLayout() {
	l, buf := &w.layout, w.Buf
	for _, s := range l.named {
		buf = append(buf, s.key...)
		from := len(buf)
		buf = l.numbers[s.reading].Append(buf)
		l.texts[s.reading] = textRange{from, len(buf)}
	}
	buf = append(buf, `,"metrics":{`...)
	for _, s := range l.all {
		buf = append(buf, s.key...)
		if t := l.texts[s.reading]; t.to > 0 {
			buf = append(buf, buf[t.from:t.to]...)
		} else {
			buf = l.numbers[s.reading].Append(buf)
		}
	}
	w.Buf = append(buf, '}')
}
