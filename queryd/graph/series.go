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

// historyPage is a page of history, in entries or in buckets.
type historyPage struct {
	query   history.Query
	entries []projections.Entry
	buckets []history.Bucket
	next    history.Cursor

	clusters []string // of each entry or bucket; nil where there is one
}

// clusterOf returns the cluster of an entry or bucket, "" where there is one.
func (a *historyPage) clusterOf(i int) string {
	if a.clusters == nil {
		return ""
	}
	return a.clusters[i]
}

func (a *historyPage) entryCount() int { return len(a.entries) + len(a.buckets) }

// aboutSeries describes the field series.
const aboutSeries = `The same page by series: a list of {host, id, part, metric, timestamps, …}, where beside timestamps stands an array of equal length for ` +
	`each aggregate, or raw without step. Where raw is null, absent holds the reason.`

// series is one metric of one entity on one host, in parallel arrays.
type series struct {
	cluster string
	host    events.HostID
	entity  events.Entity
	metric  string

	times   []events.Timestamp
	columns []column
	absent  []events.Reason // parallel to times; empty if every reading is present
}

// column holds the values of one aggregate, parallel to the times of its series.
type column struct {
	name   string
	values []events.Number
	none   []bool // true where there is no value; empty if there is one everywhere
}

// addValue adds the value for the last time.
func (c *column) addValue(n events.Number, ok bool) {
	if !ok && c.none == nil {
		c.none = make([]bool, len(c.values), len(c.values)+1)
	}
	if c.none != nil {
		c.none = append(c.none, !ok)
	}
	c.values = append(c.values, n)
}

// seriesKey identifies a series of a page.
type seriesKey struct {
	cluster string
	host    events.HostID
	entity  events.Entity
	metric  string
}

// seriesSet collects the series of a page.
type seriesSet map[seriesKey]*series

// addTime adds a time to the series of a metric and returns the series.
func (s seriesSet) addTime(cluster string, place projections.Place, metric string, names []string) *series {
	key := seriesKey{cluster, place.Host, place.Entity, metric}
	one := s[key]
	if one == nil {
		one = &series{cluster: cluster, host: place.Host, entity: place.Entity, metric: metric}
		for _, name := range names {
			one.columns = append(one.columns, column{name: name})
		}
		s[key] = one
	}
	one.times = append(one.times, place.At)
	return one
}

// seriesJSON returns the page as prepared JSON.
func (a *historyPage) seriesJSON() json.RawMessage {
	all := make(seriesSet)
	for i := range a.entries {
		e := &a.entries[i]
		for j, r := range e.Readings {
			if j > 0 && e.Readings[j-1].Metric() == r.Metric() {
				continue // of several at one time the first counts
			}
			one, v := all.addTime(a.clusterOf(i), e.Place(), r.Metric(), []string{"raw"}), r.Value()
			one.columns[0].addValue(v.Number, v.Absent == events.Present)
			one.addAbsence(v.Absent)
		}
	}
	shown := a.query.ShownAggregates()
	for i := range a.buckets {
		b := &a.buckets[i]
		for j := range b.Metrics {
			m := &b.Metrics[j]
			aggregates := shown(m.Metric)
			one := all.addTime(a.clusterOf(i), b.Place(), m.Metric, aggregateNames(aggregates))
			for k, aggregate := range aggregates {
				one.columns[k].addValue(m.Number(aggregate))
			}
		}
	}
	return all.encodeJSON()
}

func aggregateNames(aggregates []history.Aggregate) []string {
	names := make([]string, len(aggregates))
	for i, a := range aggregates {
		names[i] = string(a)
	}
	return names
}

// addAbsence records the reason if the last reading is absent.
func (s *series) addAbsence(why events.Reason) {
	if why != events.Present && s.absent == nil {
		s.absent = make([]events.Reason, len(s.times)-1, len(s.times))
	}
	if s.absent != nil {
		s.absent = append(s.absent, why)
	}
}

// encodeJSON returns the series by host, entity and metric.
func (s seriesSet) encodeJSON() json.RawMessage {
	keys := make([]seriesKey, 0, len(s))
	for key := range s {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b seriesKey) int {
		if c := strings.Compare(a.cluster, b.cluster); c != 0 {
			return c
		}
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
		out = s[key].appendJSON(out, &times)
	}
	return append(out, ']')
}

func (s *series) appendJSON(out []byte, times *timeList) []byte {
	out = append(out, `{"host":`...)
	out = appendText(out, string(s.host))
	if s.cluster != "" {
		out = appendText(append(out, `,"cluster":`...), s.cluster)
	}
	out = append(out, `,"id":`...)
	out = appendText(out, string(s.entity.GPU))
	if s.entity.Part != "" {
		out = append(out, `,"part":`...)
		out = appendText(out, s.entity.Part)
	}
	out = append(out, `,"metric":`...)
	out = appendText(out, s.metric)
	out = append(out, `,"timestamps":`...)
	out = times.appendTimes(out, s.times)
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

// timeList writes lists of times. The series of a GPU mostly have the same times, so the text of the last list is
// kept.
type timeList struct {
	times []events.Timestamp
	text  []byte
}

func (l *timeList) appendTimes(out []byte, times []events.Timestamp) []byte {
	if len(l.text) == 0 || !slices.Equal(times, l.times) {
		l.times = times
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
	if isPlain(s) {
		out = append(append(out, '"'), s...)
		return append(out, '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil { // impossible: a string always marshals
		return append(out, `""`...)
	}
	return append(out, quoted...)
}

// isPlain reports whether a text stands in JSON as it is, in the form that json.Marshal chooses.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
