package metric

import "strings"

// firstSpelling gives a column of nvidia-smi --query-gpu in the first of its spellings (help text of driver 590),
// so that one metric has one name also where the catalogue has none for it. The name is in lower case;
// "": it has no other spelling.
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

// cutUnit takes a unit in brackets off a column's name: memory.used [MiB].
func cutUnit(name string) (bare, unit string) {
	bare, unit, found := strings.Cut(name, "[")
	unit, closed := strings.CutSuffix(unit, "]")
	bare = strings.TrimSpace(bare)
	if !found || !closed || bare == "" || unit == "" || strings.Contains(unit, "[") {
		return name, ""
	}
	return bare, unit
}

// knownUnit gives a unit as nvidia-smi writes it, "" for any other text. Case does not matter.
func knownUnit(text string) string {
	for _, unit := range [...]string{"%", "W", "MHz", "MiB", "us", "ms"} {
		if strings.EqualFold(text, unit) {
			return unit
		}
	}
	return ""
}

// In tells whether readings that c converts may be stated to be in a unit, as nvidia-smi writes it: MiB, us.
// Where no unit is known each of nvidia-smi's may be.
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
