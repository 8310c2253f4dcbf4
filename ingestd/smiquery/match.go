package smiquery

import (
	"bytes"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/dialect"
)

// Match reports whether a header has this dialect: a column has a dotted name of nvidia-smi's (utilization.gpu), or
// all columns are nvidia-smi's and at least one of them is nvidia-smi's alone (index, pstate). A table of series,
// whose first column is Time, is not: names of series may have dots.
func Match(header [][]byte) bool {
	if len(header) == 0 || strings.EqualFold(string(trimCell(header[0])), "time") {
		return false
	}
	if slices.ContainsFunc(header, func(cell []byte) bool { return isDottedName(bareName(cell)) }) {
		return true
	}
	known, own := 0, false
	for _, cell := range header {
		name := bareName(cell)
		switch {
		case name == "":
		case isOwnName(name):
			own = true
			fallthrough
		case isSharedName(name):
			known++
		default:
			return false
		}
	}
	return own && known > 1
}

func trimCell(cell []byte) []byte { return bytes.Trim(cell, " \t\"") }

// bareName returns a header's cell in lower case without its unit.
func bareName(cell []byte) string {
	name, _, _ := strings.Cut(strings.ToLower(string(trimCell(cell))), "[")
	return strings.TrimSpace(name)
}

// isDottedName reports whether a name belongs to one of nvidia-smi's families of names with dots.
func isDottedName(name string) bool {
	for _, family := range [...]string{
		"accounting.", "c2c.", "clocks.", "clocks_event_reasons.", "clocks_event_reasons_counters.", "clocks_throttle_reasons.",
		"dramencryption.", "driver_model.", "ecc.", "encoder.stats.", "enforced.power.", "fabric.", "fan.speed", "gom.", "gpu.power.",
		"gpu_operation_mode.", "gsp.mode.", "inforom.", "memory.", "mig.mode.", "module.", "pci.", "pcie.link.", "platform.", "power.",
		"power_smoothing.", "protected_memory.", "remapped_rows.", "retired_pages.", "temperature.gpu", "temperature.memory",
		"utilization.", "vgpu_device_capability.", "vgpu_driver_capability.",
	} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

// isOwnName reports whether a name without dots is nvidia-smi's alone.
func isOwnName(name string) bool {
	switch name {
	case "addressing_mode", "compute_cap", "compute_mode", "count", "display_active", "display_attached", "display_mode", "edpp_multiplier",
		"gpu_recovery_action", "persistence_mode", "pstate", "vbios_version":
		return true
	}
	return false
}

// isSharedName reports whether other dialects have the name too.
func isSharedName(name string) bool {
	switch name {
	case "timestamp", "index", "name", "gpu_name", "uuid", "gpu_uuid", "serial", "gpu_serial", "gpu_bus_id", "driver_version", "hostname":
		return true
	}
	return false
}

// isHeaderRow reports whether a row in the middle is a header. For nearly every row the time in its cell shows that
// it is not.
func isHeaderRow(cells [][]byte, time int) bool {
	telling := cells[min(max(time, 0), len(cells)-1)]
	return (len(telling) == 0 || telling[0] > '9') && Match(cells)
}

// fieldOf returns the field of a column.
func fieldOf(name string) (dialect.Field, dialect.Rank) {
	if strings.EqualFold(name, "name") {
		return dialect.Model, 9
	}
	f, r := dialect.FieldOf(name)
	if f != dialect.Time && f < dialect.Host { // a metric's name, a value: not in this dialect
		return dialect.Label, 1
	}
	return f, r
}
