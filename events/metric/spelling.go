package metric

import "strings"

// firstSpelling returns the first spelling of a column of nvidia-smi --query-gpu (help text of driver 590), so that
// one metric has one name even outside the catalogue. name must be in lower case. It returns "" if there is no other
// spelling.
func firstSpelling(name string) string {
	switch name {
	case "gpu_name":
		return "name"
	case "gpu_uuid":
		return "uuid"
	case "gpu_serial":
		return "serial"
	case "gpu_bus_id":
		return "pci.bus_id"
	case "clocks.gr":
		return "clocks.current.graphics"
	case "clocks.max.gr":
		return "clocks.max.graphics"
	case "clocks.applications.gr":
		return "clocks.applications.graphics"
	case "clocks.applications.mem":
		return "clocks.applications.memory"
	case "clocks.default_applications.gr":
		return "clocks.default_applications.graphics"
	case "clocks.default_applications.mem":
		return "clocks.default_applications.memory"
	case "gpu.power.draw.average":
		return "power.draw.average"
	case "gpu.power.default_limit":
		return "power.default_limit"
	case "gpu.power.min_limit":
		return "power.min_limit"
	case "gpu.power.max_limit":
		return "power.max_limit"
	case "inforom.image":
		return "inforom.img"
	case "inforom.power":
		return "inforom.pwr"
	}
	if rest, ok := strings.CutPrefix(name, "clocks_throttle_reasons."); ok {
		return "clocks_event_reasons." + rest
	}
	if rest, ok := strings.CutPrefix(name, "gpu_operation_mode."); ok {
		return "gom." + rest
	}
	return ""
}

// cutUnit splits a bracketed unit off a column's name, such as memory.used [MiB].
func cutUnit(name string) (bare, unit string) {
	bare, unit, found := strings.Cut(name, "[")
	unit, closed := strings.CutSuffix(unit, "]")
	bare = strings.TrimSpace(bare)
	if !found || !closed || bare == "" || unit == "" || strings.Contains(unit, "[") {
		return name, ""
	}
	return bare, unit
}

// knownUnit returns a unit in nvidia-smi's spelling, or "" for any other text. It ignores case.
func knownUnit(text string) string {
	for _, unit := range [...]string{"%", "W", "MHz", "MiB", "us", "ms"} {
		if strings.EqualFold(text, unit) {
			return unit
		}
	}
	return ""
}

// In reports whether text, in nvidia-smi's spelling (MiB, us), can be the unit of readings converted by c. A metric
// without a known unit accepts every unit of nvidia-smi.
func (m *Metric) In(c Conversion, text string) bool {
	stated := knownUnit(text)
	switch {
	case stated == "" && strings.EqualFold(text, "C"):
		return c.Exact() && strings.HasPrefix(m.Unit, "°C")
	case m.Unit == "ns" && c == Conversion{scale: kilo}:
		return stated == "us"
	case m.Unit == "" && !m.Known():
		return stated != ""
	}
	return stated != "" && c.Exact() && m.Unit == stated
}
