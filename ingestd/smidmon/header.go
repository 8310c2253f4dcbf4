package smidmon

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// header is a line of column names. The indices are -1 where there is no such column.
type header struct {
	columns                   []column
	gpu, date, clock          int
	pid, processType, command int
}

// column is one column; its metric is nil if its cells are no readings.
type column struct {
	name       string // as the header spells it
	metric     *metric.Metric
	conversion metric.Conversion
}

// hasDate reports whether the rows have their full time, with the date.
func (h *header) hasDate() bool { return h.date >= 0 && h.clock >= 0 }

// splitRow splits a row into cells. A command that is last may hold blanks.
func (h *header) splitRow(line []byte, cells [][]byte) [][]byte {
	n := len(h.columns)
	for line = bytes.TrimLeft(line, blanks); len(line) > 0; line = bytes.TrimLeft(line, blanks) {
		i := bytes.IndexAny(line, blanks)
		if i < 0 || len(cells) == n-1 && h.command == n-1 {
			i = len(line)
		}
		cells = append(cells, bytes.TrimRight(line[:i:i], blanks))
		line = line[i:]
	}
	return cells
}

// blanks separate cells; so does a comma in the output of --format=csv.
const blanks = " \t\r\n,"

// readHeader reads a line that names columns. It returns nil for other lines, such as the line of units. The error is
// the reason why rows below it cannot be read.
func readHeader(line []byte) (*header, error) {
	names := headerNames(line)
	if len(names) == 0 {
		return nil, nil
	}
	h := &header{gpu: -1, date: -1, clock: -1, pid: -1, processType: -1, command: -1}
	for i, name := range names {
		if why := dialect.NameFault([]byte(name)); why != "" {
			return nil, fmt.Errorf("the column %.80q: %s", name, why)
		}
		if slices.ContainsFunc(names[:i], func(other string) bool { return strings.EqualFold(name, other) }) {
			return nil, fmt.Errorf("the column %s is there twice; leave one out", name)
		}
		h.columns = append(h.columns, column{name: name})
		if field := h.indexField(strings.ToLower(name)); field != nil {
			*field = i
		}
	}
	readings := 0
	for i := range h.columns {
		if c := &h.columns[i]; h.indexField(strings.ToLower(c.name)) == nil {
			c.metric, c.conversion = metricOf(c.name, h.pid >= 0)
			readings++
		}
	}
	if readings == 0 {
		return nil, errors.New("the header names no readings")
	}
	return h, nil
}

// headerNames returns the names of a header, or none if the line is no header.
func headerNames(line []byte) []string {
	text, found := bytes.CutPrefix(bytes.TrimLeft(line, " \t"), []byte("#"))
	if !found {
		return nil
	}
	names := strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(blanks, r) })
	if len(names) < 2 || !slices.ContainsFunc(names[:min(3, len(names))], func(n string) bool { return strings.EqualFold(n, "gpu") }) {
		return nil
	}
	switch strings.ToLower(names[0]) {
	case "gpu", "date", "time":
		return names
	}
	return nil
}

// indexField returns the field for the index of a column that is no reading, or nil for readings.
func (h *header) indexField(name string) *int {
	switch {
	case name == "gpu":
		return &h.gpu
	case name == "date":
		return &h.date
	case name == "time":
		return &h.clock
	case name == "pid":
		return &h.pid
	case h.pid < 0: // the other columns come behind it
		return nil
	case name == "type":
		return &h.processType
	case name == "command":
		return &h.command
	}
	return nil
}

// metricOf returns the metric of a column. Only names that are known to mean the same as a DCGM field map to it:
// dmon's pviol, for one, is in percent, the field of that short name in nanoseconds. Another name that would be taken
// for a DCGM field's is marked as dmon's, or no query would find it.
func metricOf(name string, process bool) (*metric.Metric, metric.Conversion) {
	lower := strings.ToLower(name)
	m, c := metric.Metric{Name: name, Parts: metric.PerAny}, metric.Conversion{}
	switch lower {
	case "pwr", "gtemp", "mtemp", "sm", "mem", "enc", "dec", "mclk", "pclk":
		m, c, _ = metric.Lookup(lower)
	default:
		if other, _, known := metric.Lookup(name); known || other.Name != name {
			m.Name = "dmon_" + lower
		}
	}
	if !process {
		return &m, c
	}
	switch lower {
	case "sm", "mem", "enc", "dec", "jpg", "ofa":
		return &metric.Metric{Name: "process_" + lower + "_util", Unit: "%", Max: events.Int(100)}, metric.Conversion{}
	case "fb":
		m, c, _ = metric.Lookup(metric.ProcessMemory)
		return &m, c
	case "ccpm":
		return &metric.Metric{Name: "process_ccpm_mib", Unit: "MiB"}, metric.Conversion{}
	}
	return &metric.Metric{Name: "process_" + name}, metric.Conversion{}
}
