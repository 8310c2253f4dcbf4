package smiquery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// role is the meaning of a column's cells.
type role uint8

const (
	unnamed   role = iota
	timestamp      // the time
	origin         // names of the GPU, its host and its driver
	described      // descriptions of the GPU: text, of digits or not
	reading        // readings of a known metric
	mixed          // readings under the column's own name, or text that describes the GPU: decided cell by cell
)

// column is one column of the file.
type column struct {
	dialect.Column
	role       role
	metric     metric.Metric // for other columns too: the name under which their cells are absent or labels
	conversion metric.Conversion
}

// header holds a file's columns.
type header struct {
	cells   []string
	columns []column
	time    int // -1: none
	reasons reasons
	checks  checks
}

// readHeader returns the columns of a file. Its error names a missing or duplicate column, and the remedy.
func readHeader(cells [][]byte, opt dialect.Options) (*header, error) {
	h := &header{}
	if last := len(cells) - 1; last >= 0 && len(trimCell(cells[last])) == 0 { // behind a trailing separator
		cells = cells[:last]
	}
	for _, cell := range cells {
		name := string(trimCell(cell))
		h.cells = append(h.cells, name)
		h.columns = append(h.columns, classifyColumn(name))
	}
	h.time = slices.IndexFunc(h.columns, func(c column) bool { return c.role == timestamp })
	if err := h.checkUnique(); err != nil {
		return nil, err
	}
	h.reasons, h.checks = findReasons(h.columns), findChecks(h.columns)
	return h, h.checkComplete(opt)
}

func classifyColumn(name string) column {
	c := column{Column: dialect.Column{Name: name}}
	if name == "" {
		return c
	}
	var known bool
	c.metric, c.conversion, known = metric.Lookup(name)
	c.Field, c.Rank = fieldOf(c.metric.Name)
	switch {
	case known:
		c.role, c.Field = reading, dialect.Label
	case c.Field == dialect.Time:
		c.role = timestamp
	case c.Field != dialect.Label:
		c.role = origin
	case isDescription(c.metric.Name):
		c.role = described
	default:
		c.role = mixed
		c.metric = c.metric.Spelled()
	}
	return c
}

// isDescription reports whether a name identifies or describes a GPU even where it is written in digits: addresses,
// places, versions, numbers of parts.
func isDescription(name string) bool {
	lower := strings.ToLower(name)
	for _, family := range [...]string{"pci.", "platform.", "inforom.", "compute_"} {
		if strings.HasPrefix(lower, family) {
			return true
		}
	}
	for _, end := range [...]string{"version", "serial", "uuid", "guid", "_id", "cliqueid"} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return dialect.KnownLabel(lower)
}

// checkUnique refuses columns that mean the same.
func (h *header) checkUnique() error {
	var plain []dialect.Column
	seen := map[string]string{}
	for _, c := range h.columns {
		plain = append(plain, c.Column)
		if c.role < described {
			continue
		}
		if first, found := seen[c.metric.Name]; found {
			return fmt.Errorf("the columns %s and %s are both %s; leave one out", first, c.Name, c.metric.Name)
		}
		seen[c.metric.Name] = c.Name
	}
	return dialect.CheckColumns(plain)
}

func (h *header) checkComplete(opt dialect.Options) error {
	has := func(fields ...dialect.Field) bool {
		return slices.ContainsFunc(h.columns, func(c column) bool { return c.role == origin && slices.Contains(fields, c.Field) })
	}
	switch {
	case !slices.ContainsFunc(h.columns, func(c column) bool { return c.role >= reading }):
		return errors.New("no column has readings; ask nvidia-smi for some, as in --query-gpu=timestamp,index,uuid,utilization.gpu,memory.used")
	case !has(dialect.UUID, dialect.Index, dialect.Device, dialect.PCI):
		return errors.New("no column names the GPU; add index or uuid to the list of --query-gpu")
	case opt.Host == "" && !has(dialect.Host):
		return errors.New("no column names the host; give the host of all rows with ?host=")
	case h.time < 0 && opt.Start.IsZero() && opt.At.IsZero():
		return errors.New("no column has the time; add timestamp to the list of --query-gpu, or give the time: " +
			"?ts= for one query, ?start= and ?interval= for repeated ones")
	}
	return nil
}
