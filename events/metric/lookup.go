package metric

import "strings"

// Lookup returns the canonical metric that a source's name stands for, and how its readings are converted.
// Blanks around the name, its case and a bracketed unit behind it do not matter, but a name with a unit that is not
// the metric's own is not that metric's, and two words mean one thing in capitals and another in small letters. An unknown name is a metric under its own name, trimmed, without a
// bracketed unit of nvidia-smi, and in the first of nvidia-smi's spellings; then ok is false.
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

// isAmbiguousColumn tells the columns of nvidia-smi dmon that dcgmi dmon has in capitals for something else: in small letters
// pviol is the share of time and tviol a yes or no, PVIOL and TVIOL are nanoseconds.
func isAmbiguousColumn(name string) bool { return name == "pviol" || name == "tviol" }

// unknownMetric is a metric that the catalogue does not know. A unit is part of its name unless it is one that
// nvidia-smi writes there.
func unknownMetric(own, name, bracket string) Metric {
	m := Metric{Name: own, Parts: PerAny, Unit: knownUnit(bracket)}
	if m.Unit != "" {
		m.Name = name
	}
	if first := firstSpelling(strings.ToLower(m.Name)); first != "" {
		m.Name = first
	}
	return m
}
