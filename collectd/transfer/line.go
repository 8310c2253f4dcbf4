package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"telemetry-pipeline/events"
)

// line is an event as a line of JSON.
type line struct {
	Key      string          `json:"key,omitempty"` // the event's, from its partition on
	Revision string          `json:"revision,omitempty"`
	Event    json.RawMessage `json:"event,omitempty"`   // its rows
	Compact  []byte          `json:"compact,omitempty"` // or its stored form
	Damage   string          `json:"damage,omitempty"`  // or why it cannot be used, and the stored value
	Value    []byte          `json:"value,omitempty"`
}

// lineWriter writes events as lines.
type lineWriter struct {
	codec      *events.Codec
	partitions int
	rows       []byte
}

func (w *lineWriter) header() []byte { return nil }

// appendEvent appends an event's line. A line has the event's key; an event of a part has the key it would have.
func (w *lineWriter) appendEvent(dst []byte, ev *events.Event) ([]byte, error) {
	l := line{Key: tailOf(ev.Key), Revision: ev.Revision.String()}
	if damage, ok := errors.AsType[*events.DamageError](ev.Damage); ok {
		l.Damage, l.Value = damage.Cause.Error(), damage.Value
		return appendLine(dst, &l)
	}
	if l.Key == "" {
		l.Key = tailOf(events.EventKey("", w.partitions, ev).String())
	}
	var err error
	if w.rows, err = events.EncodeJSON(w.rows[:0], ev); err == nil && len(w.rows) <= events.MaxBody {
		l.Event = w.rows
		return appendLine(dst, &l)
	}
	stored := *ev
	stored.Trace = events.TraceContext{} // a trace ends long before an export is read
	if l.Compact, err = w.codec.Encode(nil, &stored); err != nil {
		return dst, fmt.Errorf("exporting event %s: %w", ev.Key, err)
	}
	return appendLine(dst, &l)
}

func appendLine(dst []byte, l *line) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return dst, fmt.Errorf("exporting event %s: %w", l.Key, err)
	}
	return append(append(dst, text...), '\n'), nil
}

// tailOf returns a key from its partition on: the segments before belong to the cluster.
func tailOf(key string) string {
	parts := strings.Split(key, "/")
	if len(parts) < 2 {
		return ""
	}
	return strings.Join(parts[len(parts)-2:], "/")
}

// errDamaged reports a line whose event was damaged where it was exported.
var errDamaged = errors.New("the event was damaged where it was exported")

// parseLine parses a line that lineWriter.appendEvent wrote.
func parseLine(codec *events.Codec, text []byte) (ev events.Event, key string, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	var l line
	if err := dec.Decode(&l); err != nil {
		return events.Event{}, "", fmt.Errorf("it is no line of an export: %w", err)
	}
	switch {
	case l.Damage != "":
		return events.Event{}, l.Key, fmt.Errorf("%w: %s", errDamaged, l.Damage)
	case l.Event != nil:
		ev, err = events.DecodeJSON(l.Event)
	case l.Compact != nil:
		ev, err = codec.Decode(l.Compact)
	default:
		err = errors.New("it is no line of an export: it has neither event nor compact")
	}
	return ev, l.Key, err
}
