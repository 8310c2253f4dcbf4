package wide

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
	origin         // the origin of the readings, labels included
	labels         // labels in the syntax of Prometheus
	reading        // readings of a known metric
	unknown        // readings or labels, decided cell by cell
)

// column is one column of the file.
type column struct {
	dialect.Column
	role       role
	metric     metric.Metric
	conversion metric.Conversion
}

// Match reports whether a header has this dialect: it has a time or a GPU, and at least one metric that the catalogue
// knows. A header in the words of nvidia-smi (utilization.gpu [%]) does not match.
func Match(header [][]byte) bool {
	placed, known := false, false
	for _, c := range classifyColumns(header) {
		if strings.HasSuffix(c.Name, "]") || c.role == reading && strings.Contains(c.Name, ".") {
			return false
		}
		placed = placed || c.role == timestamp || c.role == origin && c.Field >= dialect.Index && c.Field <= dialect.PCI
		known = known || c.role == reading
	}
	return placed && known
}

func classifyColumns(header [][]byte) []column {
	var all []column
	for _, c := range dialect.Columns(header) {
		all = append(all, classifyColumn(c))
	}
	return all
}

func classifyColumn(c dialect.Column) column {
	if strings.EqualFold(c.Name, "name") {
		c.Field, c.Rank = dialect.Model, 9
	}
	out := column{Column: c, role: origin}
	switch {
	case c.Name == "":
		out.role = unnamed
	case c.Field == dialect.Time:
		out.role = timestamp
	case c.Field == dialect.LabelsRaw:
		out.role = labels
	case c.Field >= dialect.Host || dialect.KnownLabel(c.Name):
	default:
		out.Field = dialect.Label
		var known bool
		out.metric, out.conversion, known = lookupMetric(c.Name)
		out.role = unknown
		if known {
			out.role = reading
		}
	}
	return out
}

// lookupMetric returns the metric of a column, also if the name ends in the metric's unit.
func lookupMetric(name string) (metric.Metric, metric.Conversion, bool) {
	m, c, ok := metric.Lookup(name)
	if ok {
		return m, c, true
	}
	i := strings.LastIndexByte(name, '_')
	if i < 0 {
		return m, c, false
	}
	unit := unitOf(name[i+1:])
	for _, spelled := range [...]string{name[:i], strings.ReplaceAll(name[:i], "_", ".")} { // memory_total is memory.total
		if base, conversion, found := metric.Lookup(spelled); found && conversion.Exact() && base.Unit == unit {
			return base, conversion, true
		}
	}
	return m, c, false
}

// unitOf returns the unit of a suffix; "_mb" is MiB, the unit in which the memory of GPUs is counted.
func unitOf(suffix string) string {
	switch strings.ToLower(suffix) {
	case "mb", "mib":
		return "MiB"
	case "mhz":
		return "MHz"
	case "w", "watts":
		return "W"
	case "c", "celsius":
		return "°C"
	case "pct", "percent":
		return "%"
	}
	return "no unit"
}

// readColumns returns the columns of a file, or an error that names a missing or duplicate column and the remedy.
func readColumns(header [][]byte, opt dialect.Options) (all []column, time int, err error) {
	all = classifyColumns(header)
	if err := checkUnique(all); err != nil {
		return nil, 0, err
	}
	has := func(fields ...dialect.Field) bool {
		return slices.ContainsFunc(all, func(c column) bool { return c.role == origin && slices.Contains(fields, c.Field) })
	}
	is := func(r role) func(column) bool { return func(c column) bool { return c.role == r } }
	namesHost := func(c column) bool { return dialect.NamesHost(c.Name) }
	hasLabels := slices.ContainsFunc(all, is(labels))
	time = slices.IndexFunc(all, is(timestamp))
	switch {
	case time < 0 && opt.At.IsZero():
		err = errors.New("no column has the time; name it timestamp, or give the time of all rows with ?ts=")
	case !slices.ContainsFunc(all, is(reading)) && !slices.ContainsFunc(all, is(unknown)):
		err = errors.New("no column has readings; name them like gpu_utilization, temperature or DCGM_FI_DEV_POWER_USAGE")
	case !hasLabels && opt.Host == "" && !slices.ContainsFunc(all, namesHost):
		err = errors.New("no column names the host; add one named hostname, or give the host of all rows with ?host=")
	case !hasLabels && !has(dialect.UUID, dialect.Index, dialect.Device, dialect.PCI):
		err = errors.New("no column names the GPU; add one named uuid or gpu_id")
	}
	return all, time, err
}

// checkUnique refuses columns that mean the same.
func checkUnique(all []column) error {
	var plain []dialect.Column
	seen := map[string]string{}
	for _, c := range all {
		plain = append(plain, c.Column)
		if c.role != reading {
			continue
		}
		if first, found := seen[c.metric.Name]; found && first != c.Name {
			return fmt.Errorf("the columns %s and %s are both %s; leave one out", first, c.Name, c.metric.Name)
		}
		seen[c.metric.Name] = c.Name
	}
	return dialect.CheckColumns(plain)
}
