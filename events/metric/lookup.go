package metric

import (
	"strings"

	"telemetry-pipeline/events"
)

// Lookup returns the canonical metric for a source's name, and the conversion of its readings. It ignores surrounding
// blanks, case and a bracketed unit at the end, with two exceptions: a name with a unit other than the metric's is a
// different metric, and two names differ in meaning between capitals and small letters. An unknown name is returned
// as a metric of its own, trimmed, without a bracketed unit of nvidia-smi, and in nvidia-smi's first spelling; then
// ok is false. No source has the name of a metric of the pipeline itself (events.IsControl), which hides a host.
func Lookup(source string) (m Metric, c Conversion, ok bool) {
	own := strings.TrimSpace(source)
	name, bracket := cutUnit(own)
	if isAmbiguousColumn(name) {
		return unknownMetric(own, name, bracket), Conversion{}, false
	}
	means, found := catalogue().names[strings.ToLower(name)]
	if !found {
		return unknownMetric(own, name, bracket), Conversion{}, false
	}
	if bracket == "" || means.metric.In(means.conversion, bracket) {
		return *means.metric, means.conversion, true
	}
	return Metric{Name: own, Parts: PerAny}, Conversion{}, false
}

// isAmbiguousColumn reports whether a name is a column of nvidia-smi dmon that dcgmi dmon uses in capitals with
// another meaning: pviol is a share of time and tviol a boolean, PVIOL and TVIOL are nanoseconds.
func isAmbiguousColumn(name string) bool { return name == "pviol" || name == "tviol" }

// unknownMetric returns a metric that is not in the catalogue. A bracketed unit stays part of its name unless
// nvidia-smi writes such units.
func unknownMetric(own, name, bracket string) Metric {
	m := Metric{Name: own, Parts: PerAny, Unit: knownUnit(bracket)}
	if m.Unit != "" {
		m.Name = name
	}
	if first := firstSpelling(strings.ToLower(m.Name)); first != "" {
		m.Name = first
	}
	if events.IsControl(m.Name) {
		m.Name += "_uploaded"
	}
	return m
}
