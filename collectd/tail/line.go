package tail

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"telemetry-pipeline/collectd/filter"
	"telemetry-pipeline/events"
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
func (l *lines) append(dst []byte, ev *events.Event, skip int) ([]byte, error) {
	switch {
	case skip >= l.count(ev):
		return dst, nil
	case ev.Damage != nil || l.events:
		return l.appendEvent(dst, ev)
	}
	var err error
	for i := range ev.Columns {
		c := &ev.Columns[i]
		if !l.filter.Column(ev, c) {
			continue
		}
		id := &ev.Identities[c.Identity]
		for at, v := range c.All() {
			if skip--; skip >= 0 {
				continue
			}
			if dst, err = l.appendRecord(dst, ev, id, c, at, v); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// record is a record's line as JSON, with the members that the query API has for one.
type record struct {
	Timestamp string         `json:"timestamp"`
	Host      string         `json:"host_id"`
	ID        string         `json:"id,omitempty"`
	GPU       string         `json:"gpu_id,omitempty"`
	Part      string         `json:"part,omitempty"`
	Metric    string         `json:"metric"`
	Source    string         `json:"source"`
	Value     *events.Number `json:"value,omitempty"`
	Absent    string         `json:"absent,omitempty"`
	Text      string         `json:"absent_text,omitempty"`
	Revision  string         `json:"revision"`
}

func (l *lines) appendRecord(dst []byte, ev *events.Event, id *events.Identity, c *events.Column, at events.Timestamp, v events.Value) ([]byte, error) {
	entity := id.Entity(ev.Host)
	if l.json {
		r := record{
			Timestamp: at.String(), Host: string(ev.Host), ID: string(entity.GPU), GPU: id.Index, Part: entity.Part,
			Metric: c.Metric, Source: c.Source, Revision: ev.Revision.String(),
		}
		if v.Absent == events.Present {
			r.Value = &v.Number
		} else {
			r.Absent, r.Text = v.Absent.String(), v.Raw
		}
		return appendJSON(dst, r)
	}
	value := v.Number.String()
	if v.Absent != events.Present {
		value = "- (" + v.Absent.String()
		if v.Raw != "" {
			value += " " + plain(v.Raw)
		}
		value += ")"
	}
	return fmt.Appendf(dst, "%s  %s  %s  %s  %s\n", at, plain(string(ev.Host)), plain(gpuName(id, entity)), plain(c.Metric), value), nil
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

// event is an event's line as JSON, with the members that the query API has for one.
type event struct {
	Key      string   `json:"key"`
	Revision string   `json:"revision"`
	Host     string   `json:"host_id,omitempty"`
	Damage   string   `json:"damage,omitempty"`
	Appended string   `json:"appended_at,omitempty"`
	Upload   string   `json:"upload_id,omitempty"`
	First    string   `json:"first_timestamp,omitempty"`
	Last     string   `json:"last_timestamp,omitempty"`
	Records  int      `json:"record_count"`
	GPUs     []string `json:"gpu_ids"`
	Metrics  []string `json:"metrics"`
}

func (l *lines) appendEvent(dst []byte, ev *events.Event) ([]byte, error) {
	e := describe(ev)
	if l.json {
		return appendJSON(dst, e)
	}
	if e.Damage != "" {
		return fmt.Appendf(dst, "%s  %s  damaged: %s\n", e.Revision, plain(e.Key), plain(e.Damage)), nil
	}
	dst = fmt.Appendf(dst, "%s  %s  %s  %d records of %d GPUs and %d metrics from %s to %s", e.Revision, e.Appended, plain(e.Host),
		e.Records, len(e.GPUs), len(e.Metrics), e.First, e.Last)
	if e.Upload != "" {
		dst = append(append(dst, "  upload "...), plain(e.Upload)...)
	}
	return append(dst, '\n'), nil
}

func describe(ev *events.Event) event {
	e := event{Key: ev.Key, Revision: ev.Revision.String(), Host: string(ev.Host), Upload: string(ev.Upload), Records: ev.Records(), GPUs: []string{}, Metrics: []string{}}
	if ev.Damage != nil {
		e.Damage = ev.Damage.Error()
		if damage, ok := errors.AsType[*events.DamageError](ev.Damage); ok {
			e.Damage = damage.Cause.Error()
		}
		return e
	}
	if ev.AppendedAt != 0 {
		e.Appended = ev.AppendedAt.String()
	}
	gpus, metrics := make(map[string]bool), make(map[string]bool)
	first, last, any := events.Timestamp(0), events.Timestamp(0), false
	for i := range ev.Columns {
		c := &ev.Columns[i]
		metrics[c.Metric] = true
		if gpu := ev.Identities[c.Identity].Entity(ev.Host).GPU; gpu != "" {
			gpus[string(gpu)] = true
		}
		if n := c.Len(); n > 0 {
			if !any {
				first, last, any = c.Times[0], c.Times[0], true
			}
			first, last = min(first, c.Times[0]), max(last, c.Times[n-1])
		}
	}
	if any {
		e.First, e.Last = first.String(), last.String()
	}
	e.GPUs, e.Metrics = sorted(gpus), sorted(metrics)
	return e
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	return append(append(dst, text...), '\n'), nil
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
