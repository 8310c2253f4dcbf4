package graph

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
)

// answer is a page of history, in entries or in buckets.
type answer struct {
	query   history.Query
	entries []projections.Entry
	buckets []history.Bucket
	next    history.Cursor
}

func (a *answer) count() int { return len(a.entries) + len(a.buckets) }

// aboutSeries describes the field series.
const aboutSeries = `The same page by series: a list of {host, id, part, metric, timestamps, …}, where beside timestamps stands an array of equal length for ` +
	`each aggregate, or raw without step. Where raw is null, absent tells why.`

// series is one metric of one entity on one host, in parallel arrays.
type series struct {
	host   events.HostID
	entity events.Entity
	metric string

	times   []events.Timestamp
	columns []column
	absent  []events.Reason // beside times; empty when every reading is present
}

// column is what one aggregate gives, beside the times of its series.
type column struct {
	name   string
	values []events.Number
	none   []bool // where there is no value; empty when there is one everywhere
}

// put adds the value of the newest time.
func (c *column) put(n events.Number, ok bool) {
	if !ok && c.none == nil {
		c.none = make([]bool, len(c.values), len(c.values)+1)
	}
	if c.none != nil {
		c.none = append(c.none, !ok)
	}
	c.values = append(c.values, n)
}

// seriesKey tells the series of a page apart.
type seriesKey struct {
	host   events.HostID
	entity events.Entity
	metric string
}

// shelf collects the series of a page.
type shelf map[seriesKey]*series

// at gives the series of a metric with one more time, and its columns.
func (s shelf) at(place projections.Place, metric string, names []string) *series {
	key := seriesKey{place.Host, place.Entity, metric}
	one := s[key]
	if one == nil {
		one = &series{host: place.Host, entity: place.Entity, metric: metric}
		for _, name := range names {
			one.columns = append(one.columns, column{name: name})
		}
		s[key] = one
	}
	one.times = append(one.times, place.At)
	return one
}

// series gives the page as prepared JSON.
func (a *answer) series() json.RawMessage {
	all := make(shelf)
	for i := range a.entries {
		e := &a.entries[i]
		for j, r := range e.Readings {
			if j > 0 && e.Readings[j-1].Metric() == r.Metric() {
				continue // of several at one time the first counts
			}
			one, v := all.at(e.Place(), r.Metric(), []string{"raw"}), r.Value()
			one.columns[0].put(v.Number, v.Absent == events.Present)
			one.lack(v.Absent)
		}
	}
	shown := a.query.Shown()
	for i := range a.buckets {
		b := &a.buckets[i]
		for j := range b.Metrics {
			m := &b.Metrics[j]
			aggregates := shown(m.Metric)
			one := all.at(b.Place(), m.Metric, words(aggregates))
			for k, aggregate := range aggregates {
				one.columns[k].put(m.Number(aggregate))
			}
		}
	}
	return all.json()
}

func words(aggregates []history.Aggregate) []string {
	names := make([]string, len(aggregates))
	for i, a := range aggregates {
		names[i] = string(a)
	}
	return names
}

// lack notes why the newest reading is absent, if it is.
func (s *series) lack(why events.Reason) {
	if why != events.Present && s.absent == nil {
		s.absent = make([]events.Reason, len(s.times)-1, len(s.times))
	}
	if s.absent != nil {
		s.absent = append(s.absent, why)
	}
}

// json writes the series by host, entity and metric.
func (s shelf) json() json.RawMessage {
	keys := make([]seriesKey, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b seriesKey) int {
		place := projections.Place{Host: a.host, Entity: a.entity}
		if c := place.Compare(projections.Place{Host: b.host, Entity: b.entity}); c != 0 {
			return c
		}
		return strings.Compare(a.metric, b.metric)
	})
	out := []byte{'['}
	var times timeList
	for i, key := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		out = s[key].append(out, &times)
	}
	return append(out, ']')
}

func (s *series) append(out []byte, times *timeList) []byte {
	out = append(out, `{"host":`...)
	out = appendText(out, string(s.host))
	out = append(out, `,"id":`...)
	out = appendText(out, string(s.entity.GPU))
	if s.entity.Part != "" {
		out = append(out, `,"part":`...)
		out = appendText(out, s.entity.Part)
	}
	out = append(out, `,"metric":`...)
	out = appendText(out, s.metric)
	out = append(out, `,"timestamps":`...)
	out = times.append(out, s.times)
	for i := range s.columns {
		c := &s.columns[i]
		out = append(out, `,"`+c.name+`":`...)
		out = appendList(out, len(c.values), func(out []byte, i int) []byte {
			if c.none != nil && c.none[i] {
				return append(out, "null"...)
			}
			return c.values[i].Append(out)
		})
	}
	if s.absent != nil {
		out = append(out, `,"absent":`...)
		out = appendList(out, len(s.absent), func(out []byte, i int) []byte {
			if s.absent[i] == events.Present {
				return append(out, "null"...)
			}
			return appendText(out, s.absent[i].String())
		})
	}
	return append(out, '}')
}

// timeList writes lists of times. The series of a GPU mostly have the same, so the text of the last list is kept.
type timeList struct {
	of   []events.Timestamp
	text []byte
}

func (l *timeList) append(out []byte, times []events.Timestamp) []byte {
	if len(l.text) == 0 || !slices.Equal(times, l.of) {
		l.of = times
		l.text = appendList(l.text[:0], len(times), func(out []byte, i int) []byte {
			out = times[i].Time().AppendFormat(append(out, '"'), time.RFC3339Nano)
			return append(out, '"')
		})
	}
	return append(out, l.text...)
}

func appendList(out []byte, n int, item func(out []byte, i int) []byte) []byte {
	out = append(out, '[')
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = item(out, i)
	}
	return append(out, ']')
}

func appendText(out []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil { // cannot be: a string always marshals
		return append(out, `""`...)
	}
	return append(out, quoted...)
}
