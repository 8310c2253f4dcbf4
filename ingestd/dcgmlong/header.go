package dcgmlong

import (
	"errors"
	"slices"
	"strings"

	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

// columns are the columns of a header.
type columns struct {
	names          []string // as the header spells them
	value          int
	time           int              // -1: none, the sender supplies the time of all rows
	metric, labels int              // -1: none
	originColumns  []dialect.Column // columns that identify the origin of a reading
	originIndex    []int            // their indices
}

// Match reports whether a header has this dialect: it names a value and a GPU, and a metric. Tables of a query for
// one metric do not name the metric; the sender has to. A table with a column per metric has another dialect.
func Match(header [][]byte) bool {
	has := map[dialect.Field]bool{}
	wide := false
	for _, c := range classifyColumns(header) {
		has[c.Field] = true
		if c.Field == dialect.Label {
			_, _, known := metric.Lookup(c.Name)
			wide = wide || known
		}
	}
	return has[dialect.Value] && (has[dialect.UUID] || has[dialect.Index] || has[dialect.LabelsRaw]) &&
		(has[dialect.Metric] || has[dialect.Time] && !wide)
}

// classifyColumns returns the columns with their fields. A column "name" holds the metric if no other column does.
func classifyColumns(header [][]byte) []dialect.Column {
	all := dialect.Columns(header)
	byName := -1
	for i, c := range all {
		if c.Field == dialect.Metric {
			return all
		}
		if strings.EqualFold(c.Name, "name") {
			byName = i
		}
	}
	if byName >= 0 {
		all[byName].Field = dialect.Metric
	}
	return all
}

// readColumns returns the columns of a file, or an error if a required one is missing.
func readColumns(header [][]byte, opt dialect.Options) (*columns, error) {
	all := classifyColumns(header)
	if err := dialect.CheckColumns(all); err != nil {
		return nil, err
	}
	c := &columns{time: -1, metric: -1, value: -1, labels: -1}
	for i, col := range all {
		c.names = append(c.names, col.Name)
		switch {
		case col.Field == dialect.Time:
			c.time = i
		case col.Field == dialect.Metric:
			c.metric = i
		case col.Field == dialect.Value:
			c.value = i
		case col.Field == dialect.LabelsRaw:
			c.labels = i
		case col.Name != "":
			c.originColumns, c.originIndex = append(c.originColumns, col), append(c.originIndex, i)
		}
	}
	return c, c.checkComplete(opt)
}

// checkComplete returns an error that names a missing column and the remedy.
func (c *columns) checkComplete(opt dialect.Options) error {
	switch {
	case c.time < 0 && opt.At.IsZero():
		return errors.New("no column has the time; name it timestamp, or give the time of all rows with ?ts=")
	case c.metric < 0 && c.labels < 0 && opt.Metric == "":
		return errors.New("no column has the metric's name; name it metric_name, or give the metric of all rows with ?metric=")
	case c.value < 0:
		return errors.New("no column has the value; name it value")
	case c.labels >= 0: // the labels may hold the rest
		return nil
	case opt.Host == "" && !slices.ContainsFunc(c.originColumns, func(col dialect.Column) bool { return dialect.NamesHost(col.Name) }):
		return errors.New("no column names the host; add one named Hostname, or give the host of all rows with ?host=")
	case !c.hasField(dialect.UUID, dialect.Index, dialect.Device, dialect.PCI):
		return errors.New("no column names the GPU; add one named uuid or gpu_id")
	}
	return nil
}

// nameOf returns a column's name, or "" for a column that the file lacks.
func (c *columns) nameOf(i int) string {
	if i < 0 {
		return ""
	}
	return c.names[i]
}

func (c *columns) hasField(fields ...dialect.Field) bool {
	return slices.ContainsFunc(c.originColumns, func(col dialect.Column) bool { return slices.Contains(fields, col.Field) })
}
