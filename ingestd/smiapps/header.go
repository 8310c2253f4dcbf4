package smiapps

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// role is what a column's cells are.
type role uint8

const (
	unnamed role = iota
	timestamp
	origin  // what names the GPU and its host
	label   // what else is said of the process
	pid     // whose memory it is
	process // its name
	memory
)

// column is one column of the file. A label's Name is the one that it is kept under.
type column struct {
	dialect.Column
	role role
}

// header is what a file's columns are; -1: there is no such column.
type header struct {
	columns                    []column
	time, pid, process, memory int
	usage                      metric.Metric
}

// Match tells whether a header is of this dialect: it has processes and their memory.
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

// readHeader finds the columns that a file must have. Its error says which is missing or there twice, and what to do.
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
		return nil, errors.New("no column names the process; add pid to what --query-compute-apps is given")
	case h.memory < 0:
		return nil, errors.New("no column has the memory; add used_gpu_memory to what --query-compute-apps is given")
	case !has(dialect.UUID, dialect.Index, dialect.PCI):
		return nil, errors.New("no column names the GPU; add gpu_uuid or gpu_bus_id to what --query-compute-apps is given")
	case opt.Host == "" && !has(dialect.Host):
		return nil, errors.New("no column names the host; give the host of all rows with ?host=")
	case h.time < 0 && opt.At.IsZero():
		return nil, errors.New("no column has the time; add timestamp to what --query-compute-apps is given, or say with ?ts= when it was")
	}
	return h, nil
}
