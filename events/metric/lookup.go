package metric

import "strings"

// Lookup gives the canonical metric that a source's name stands for, and how its readings are converted.
// Blanks around the name, its case and a bracketed unit behind it do not matter, but a name with a unit that is not
// the metric's own is not that metric's, and two words mean one thing in capitals and another in small letters. An unknown name is a metric under its own name, trimmed, without a
// bracketed unit of nvidia-smi, and in the first of nvidia-smi's spellings; then ok is false.
func Lookup(source string) (m Metric, c Conversion, ok bool) {
	own := strings.TrimSpace(source)
	name, bracket := unbracket(own)
	if ofTwoTools(name) {
		return unknown(own, name, bracket), Conversion{}, false
	}
	canonical, c := resolve(strings.ToLower(name))
	e, found := byName(canonical)
	if !found {
		return unknown(own, name, bracket), Conversion{}, false
	}
	if m = e.metric(); bracket == "" || m.In(c, bracket) {
		return m, c, true
	}
	return Metric{Name: own, Parts: PerAny}, Conversion{}, false
}

// ofTwoTools tells the columns of nvidia-smi dmon that dcgmi dmon has in capitals for something else: in small letters
// pviol is the share of time and tviol a yes or no, PVIOL and TVIOL are nanoseconds.
func ofTwoTools(name string) bool { return name == "pviol" || name == "tviol" }

// unknown is a metric that the catalogue does not know. A unit is part of its name unless it is one that
// nvidia-smi writes there.
func unknown(own, name, bracket string) Metric {
	m := Metric{Name: own, Parts: PerAny, Unit: unit(bracket)}
	if m.Unit != "" {
		m.Name = name
	}
	if first := spelling(strings.ToLower(m.Name)); first != "" {
		m.Name = first
	}
	return m
}

// resolve gives the canonical name of a lower-case name, "" when there is none.
func resolve(name string) (string, Conversion) {
	if field, ok := strings.CutPrefix(name, "dcgm_fi_dev_"); ok {
		return deviceField(field)
	}
	if field, ok := strings.CutPrefix(name, "dcgm_fi_prof_"); ok {
		if short := profilingRatio(field); short != "" {
			return "DCGM_FI_PROF_" + short, Conversion{}
		}
		return "DCGM_FI_PROF_" + strings.ToUpper(field), Conversion{}
	}
	if field, ok := strings.CutPrefix(name, "dcgm_"); ok && !strings.HasPrefix(field, "exp_") {
		if short := firstGeneration(field); short != "" {
			return device + short, Conversion{}
		}
		return "", Conversion{}
	}
	if name == ProcessMemory {
		return name, Conversion{}
	}
	if short, c := column(name); short != "" {
		return device + short, c
	}
	if short := profilingColumn(name); short != "" {
		return "DCGM_FI_PROF_" + short, Conversion{}
	}
	upper := strings.ToUpper(name)
	for _, prefix := range [...]string{"", "DCGM_FI_", "DCGM_"} {
		if _, ok := byName(prefix + upper); ok {
			return prefix + upper, Conversion{}
		}
	}
	return deviceField(name)
}

const device = "DCGM_FI_DEV_"

// deviceField resolves the name of a DCGM_FI_DEV_ field of any generation, without that prefix.
func deviceField(name string) (string, Conversion) {
	if short := profilingRatio(name); short != "" {
		return "DCGM_FI_PROF_" + short, Conversion{}
	}
	if short := renamed(name); short != "" {
		return device + short, Conversion{}
	}
	if short, c := rescaled(name); short != "" {
		return device + short, c
	}
	return device + strings.ToUpper(name), Conversion{}
}
