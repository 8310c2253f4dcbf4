package fleetint

import (
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Metrics returns the dialect of fleetint_metrics_*.csv.
func Metrics() dialect.Grammar {
	return newGrammar("fleetint-metrics", []string{"timestamp", "component", "metric_name", "value", "labels"}, parseMetric)
}

const (
	metricComponent = iota + 1
	metricName
	metricValue
	metricLabels
)

// parseMetric parses one reading. A reading of an unknown metric that names no GPU belongs to the host's processors,
// disks or networks, and is skipped.
func parseMetric(r *reader, row *rows.Row, out *dialect.Parsed) {
	name := r.cellOf(row, metricName)
	if fault := dialect.NameFault(name); fault != "" {
		r.rejectCell(row, metricName, fault, out)
		return
	}
	m, conversion, known := metric.Lookup(string(name))
	origin, err := r.metricOrigin(row)
	switch {
	case err != nil:
		r.rejectCell(row, metricLabels, err.Error(), out)
		return
	case origin.Fault != nil && origin.Fault.Column == "" && !known:
		out.Skipped++
		return
	case origin.Fault != nil:
		out.Refuse(row, *origin.Fault)
		return
	}
	out.Host = origin.Host
	instant, ok := r.readTime(row, out)
	if !ok {
		return
	}
	text := r.cellOf(row, metricValue)
	value, err := readValue(&m, conversion, text)
	if err != nil {
		r.rejectCell(row, metricValue, err.Error(), out)
		return
	}
	addWarnings(row, origin, out)
	out.Add(events.Record{
		Identity: origin.For(m.Parts), Metric: m.Name, Source: string(name), At: instant.At, Value: value, Text: text,
	})
}

// readValue reads a number in the notation of Go's float64.
func readValue(m *metric.Metric, c metric.Conversion, text []byte) (events.Value, error) {
	switch string(text) {
	case "+Inf", "-Inf":
		return events.Value{Absent: events.Implausible, Raw: string(text)}, nil
	}
	return m.Read(c, text)
}

// metricOrigin returns the origin of a reading by its component and its labels.
func (r *reader) metricOrigin(row *rows.Row) (*dialect.Origin, error) {
	component, labels := r.cellOf(row, metricComponent), r.cellOf(row, metricLabels)
	r.key = append(append(append(r.key[:0], component...), 0), labels...)
	if o := r.origins.Get(r.key); o != nil {
		return o, nil
	}
	pairs, err := parseObject(labels)
	if err != nil {
		return nil, err
	}
	r.source.Reset()
	r.source.Column(dialect.Label, 1, "component", component)
	r.source.Labels(dialect.AppendLabels(nil, pairs))
	return r.origins.Learn(r.key, &r.source), nil
}

func addWarnings(row *rows.Row, o *dialect.Origin, out *dialect.Parsed) {
	for _, warning := range o.Warnings {
		warning.Line = row.Line
		out.Warnings = append(out.Warnings, warning)
	}
}
