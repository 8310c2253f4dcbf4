package smiapps

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// role is the meaning of a column's cells.
type role uint8

const (
	unnamed role = iota
	timestamp
	origin  // names of the GPU and its host
	label   // other properties of the process
	pid     // the process that uses the memory
	process // its name
	memory
)

// column is one column of the file. The Name of a label is the name under which it is kept.
type column struct {
	dialect.Column
	role role
}

// header holds a file's columns; -1: there is no such column.
type header struct {
	columns                    []column
	time, pid, process, memory int
	usage                      metric.Metric
}

// Match reports whether a header has this dialect: it has processes and their memory.
func Match(cells [][]byte) bool {
	has := map[role]bool{}
	for _, cell := range cells {
		has[classifyColumn(string(trimCell(cell))).role] = true
	}
	return has[pid] && has[memory]
}

func trimCell(cell []byte) []byte { return bytes.Trim(cell, " \t\"") }

func classifyColumn(name string) column {
	c := column{Column: dialect.Column{Name: name, Rank: 1}}
	bare, _, _ := strings.Cut(strings.ToLower(name), "[")
	switch strings.TrimSpace(bare) {
	case "":
		return c
	case "pid":
		c.Name, c.role = "pid", pid
	case "process_name", "name":
		c.Name, c.role = "process_name", process
	case "used_gpu_memory", "used_memory":
		c.role = memory
	case "gpu_serial":
		c.Name, c.role = "serial", label
	default:
		c.Field, c.Rank = dialect.FieldOf(name)
		switch {
		case c.Field == dialect.Time:
			c.role = timestamp
		case c.Field >= dialect.Host:
			c.role = origin
		default:
			c.Field, c.role = dialect.Label, label
		}
	}
	return c
}

// readHeader returns the columns of a file. Its error names a missing or duplicate column, and the remedy.
func readHeader(cells [][]byte, opt dialect.Options) (*header, error) {
	h := &header{}
	var plain []dialect.Column
	for _, cell := range cells {
		c := classifyColumn(string(trimCell(cell)))
		h.columns, plain = append(h.columns, c), append(plain, c.Column)
	}
	at := func(r role) int { return slices.IndexFunc(h.columns, func(c column) bool { return c.role == r }) }
	h.time, h.pid, h.process, h.memory = at(timestamp), at(pid), at(process), at(memory)
	h.usage, _, _ = metric.Lookup(metric.ProcessMemory)
	has := func(fields ...dialect.Field) bool {
		return slices.ContainsFunc(h.columns, func(c column) bool { return c.role == origin && slices.Contains(fields, c.Field) })
	}
	if err := dialect.CheckColumns(plain); err != nil {
		return nil, err
	}
	switch {
	case h.pid < 0:
		return nil, errors.New("no column names the process; add pid to the list of --query-compute-apps")
	case h.memory < 0:
		return nil, errors.New("no column has the memory; add used_gpu_memory to the list of --query-compute-apps")
	case !has(dialect.UUID, dialect.Index, dialect.PCI):
		return nil, errors.New("no column names the GPU; add gpu_uuid or gpu_bus_id to the list of --query-compute-apps")
	case opt.Host == "" && !has(dialect.Host):
		return nil, errors.New("no column names the host; give the host of all rows with ?host=")
	case h.time < 0 && opt.At.IsZero():
		return nil, errors.New("no column has the time; add timestamp to the list of --query-compute-apps, or give the time of all rows with ?ts=")
	}
	return h, nil
}
