package graph

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// preparedJSON is a value that writes its own JSON.
type preparedJSON interface {
	json.Marshaler
	appendJSON(out []byte) []byte
}

// readingsJSON writes an object with a member for each metric. Of several readings of one metric the last counts that has
// the member.
type readingsJSON struct {
	latest []projections.Latest // sorted by metric
	has    func(*projections.Latest) bool
	append func([]byte, *projections.Latest) []byte
}

// MarshalJSON returns the object.
func (r readingsJSON) MarshalJSON() ([]byte, error) { return r.appendJSON(nil), nil }

func (r readingsJSON) appendJSON(out []byte) []byte {
	out = append(out, '{')
	comma := false
	for i := range r.latest {
		l := &r.latest[i]
		if !r.has(l) || r.hasLater(i) {
			continue
		}
		if comma {
			out = append(out, ',')
		}
		comma = true
		out = append(appendText(out, l.Metric), ':')
		out = r.append(out, l)
	}
	return append(out, '}')
}

// hasLater reports whether a later reading of the same metric has the member too.
func (r readingsJSON) hasLater(i int) bool {
	for j := i + 1; j < len(r.latest) && r.latest[j].Metric == r.latest[i].Metric; j++ {
		if r.has(&r.latest[j]) {
			return true
		}
	}
	return false
}

func isPresent(l *projections.Latest) bool { return l.Value.Absent == events.Present }

// latestValues returns the value of each metric.
func latestValues(latest []projections.Latest) any {
	return readingsJSON{latest, isPresent, func(out []byte, l *projections.Latest) []byte { return l.Value.Number.Append(out) }}
}

// latestTimes returns the time of each metric's reading.
func latestTimes(latest []projections.Latest) any {
	return readingsJSON{latest, func(*projections.Latest) bool { return true }, func(out []byte, l *projections.Latest) []byte { return appendTime(out, l.At) }}
}

// latestAbsent returns the reason of each metric without a value.
func latestAbsent(latest []projections.Latest) any {
	isAbsent := func(l *projections.Latest) bool { return !isPresent(l) }
	return readingsJSON{latest, isAbsent, func(out []byte, l *projections.Latest) []byte { return appendText(out, l.Value.Absent.String()) }}
}

const aboutAbsentText = "What the source wrote in place of a value, by canonical name; nothing where it wrote nothing."

// absentText returns the source's text of each metric that has one.
func absentText(latest []projections.Latest) any {
	hasText := func(l *projections.Latest) bool { return l.Value.Raw != "" }
	return readingsJSON{latest, hasText, func(out []byte, l *projections.Latest) []byte { return appendText(out, l.Value.Raw) }}
}

// latestValue returns a metric's latest value, nil if it has none.
func latestValue(latest []projections.Latest, metric string) any {
	l, ok := projections.Find(latest, metric)
	if !ok || l.Value.Absent != events.Present {
		return nil
	}
	return l.Value.Number
}

// labelsJSON writes labels as an object.
type labelsJSON []events.Label

// MarshalJSON returns the object.
func (l labelsJSON) MarshalJSON() ([]byte, error) { return l.appendJSON(nil), nil }

func (l labelsJSON) appendJSON(out []byte) []byte {
	values := make(map[string]string, len(l))
	names := make([]string, 0, len(l))
	for _, label := range l {
		values[label.Name] = label.Value
	}
	names = slices.AppendSeq(names, maps.Keys(values))
	slices.Sort(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(append(appendText(out, name), ':'), values[name])
	}
	return append(out, '}')
}

func appendTime(out []byte, at events.Timestamp) []byte {
	return append(at.Time().AppendFormat(append(out, '"'), time.RFC3339Nano), '"')
}

// appendScalar appends a value as the scalar is written in answers. ok is false if the library has to complete it.
func appendScalar(out []byte, of *graphql.Scalar, value any, nonNull bool) (_ []byte, ok bool) {
	switch v := value.(type) {
	case preparedJSON:
		return v.appendJSON(out), true
	case events.Number:
		return v.Append(out), true
	case string:
		if of == graphql.String || of == graphql.ID {
			return appendText(out, v), true
		}
	case int:
		if of == graphql.Int && int(int32(v)) == v {
			return strconv.AppendInt(out, int64(v), 10), true
		}
	case events.Timestamp:
		if of.Name() == dateTimeName {
			return appendTime(out, v), true
		}
	case float64: // NaN is the library's
		if v != v {
			return out, false
		}
	}
	serialized := of.Serialize(value)
	if serialized == nil {
		return append(out, "null"...), !nonNull
	}
	out, err := appendData(out, serialized)
	return out, err == nil
}
