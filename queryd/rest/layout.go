package rest

import (
	"slices"

	"telemetry-pipeline/events"
)

// layout is what lists of readings of the same metrics have in common: where each number goes, under which
// key. Lists that follow each other mostly are of the same metrics, so a writer has the layout of the last ones.
type layout struct {
	metrics []string        // of the list before
	made    bool            // what follows is for these metrics
	named   []slot          // fields of their own
	all     []slot          // metrics
	numbers []events.Number // of the list to write
	texts   []text          // by reading: its number as a field of its own; most are written twice
}

// slot is a key, with the comma before it, and the reading whose number follows.
type slot struct {
	key     string
	reading int
}

// text is a part of what was written.
type text struct{ from, to int }

// fits tells whether the layout is that of a list of n readings, and takes its numbers. It is if all readings are
// numbers, no two of one metric, and the list before was of the same metrics.
func (l *layout) fits(fields names, n int, at func(i int) (metric string, v events.Value)) bool {
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
		l.made, l.metrics = false, l.metrics[:0]
		for i := range n {
			metric, _ := at(i)
			l.metrics = append(l.metrics, metric)
		}
		return false
	}
	if !l.made {
		l.make(fields)
	}
	return true
}

// make fills in what follows from the metrics.
func (l *layout) make(fields names) {
	l.made, l.named, l.all = true, nil, nil
	l.texts = make([]text, len(l.metrics))
	for _, f := range fields {
		if i, ok := slices.BinarySearch(l.metrics, f.Metric); ok {
			l.named = append(l.named, slot{"," + key(f.Name), i})
		}
	}
	for i, metric := range l.metrics {
		comma := ","
		if i == 0 {
			comma = ""
		}
		l.all = append(l.all, slot{comma + key(metric), i})
	}
}

// key gives the text that starts a member of an object.
func key(name string) string {
	var w events.JSONWriter
	w.Key(name)
	return string(w.Buf)
}

// laidOut writes the readings that just fit the layout, behind other members.
func (w *writer) laidOut() {
	l, buf := &w.layout, w.Buf
	for _, s := range l.named {
		buf = append(buf, s.key...)
		from := len(buf)
		buf = l.numbers[s.reading].Append(buf)
		l.texts[s.reading] = text{from, len(buf)}
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
