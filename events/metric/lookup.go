package metric

import "strings"

// Lookup gives the canonical metric that a source's name stands for, and how its readings are converted.
// Blanks around the name, a bracketed unit behind it and its case do not matter. An unknown name is a
// metric under its own name, trimmed; then ok is false.
func Lookup(source string) (m Metric, c Conversion, ok bool) {
	own := strings.TrimSpace(source)
	name := own
	if head, _, found := strings.Cut(name, " ["); found && strings.HasSuffix(name, "]") {
		name = head
	}
	canonical, c := resolve(strings.ToLower(name))
	if e, found := byName(canonical); found {
		return e.metric(), c, true
	}
	return Metric{Name: own, Parts: PerAny}, Conversion{}, false
}

// resolve gives the canonical name of a lower-case name, "" when there is none.
func resolve(name string) (string, Conversion) {
	if field, ok := strings.CutPrefix(name, "dcgm_fi_dev_"); ok {
		return deviceField(field)
	}
	if field, ok := strings.CutPrefix(name, "dcgm_fi_prof_"); ok {
		return "DCGM_FI_PROF_" + strings.ToUpper(field), Conversion{}
	}
	if field, ok := strings.CutPrefix(name, "dcgm_"); ok && !strings.HasPrefix(field, "exp_") {
		if short := firstGeneration(field); short != "" {
			return device + short, Conversion{}
		}
		return "", Conversion{}
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
