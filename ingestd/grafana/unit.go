package grafana

import (
	"bytes"
	"fmt"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// readFormatted reads a cell with a unit, as Grafana writes it where "Formatted data" is on: a number, perhaps a
// blank, and the unit. found is false if the cell has another form.
func readFormatted(m *metric.Metric, text []byte) (v events.Value, found bool, err error) {
	text = bytes.TrimSpace(text)
	at := bytes.LastIndexAny(text, "0123456789") + 1
	n, err := events.ParseNumber(text[:at])
	unit := strings.TrimSpace(string(text[at:]))
	if err != nil || unit == "" || len(unit) > longestUnit {
		return v, false, nil
	}
	n, err = convertUnit(n, unit, m.Unit)
	if err != nil {
		return v, true, err
	}
	v, err = m.Read(metric.Conversion{}, n.Append(nil))
	if v.Absent != events.Present {
		v.Raw = string(text)
	}
	return v, true, err
}

const longestUnit = 16

// convertUnit converts a number from one unit to a metric's.
func convertUnit(n events.Number, from, to string) (events.Number, error) {
	if to == "MiB" {
		return toMebibytes(n, from)
	}
	own, known := unitExponent(to, to)
	given, fits := unitExponent(from, to)
	switch {
	case !known:
		return n, fmt.Errorf("its unit %q cannot be compared, for the metric has none that is known; export it again with Formatted data off", from)
	case !fits:
		return n, fmt.Errorf("its unit %q contradicts the metric's, which is %s; export it again with Formatted data off", from, to)
	}
	return scaleByTen(n, given-own), nil
}

// scaleByTen multiplies by a power of ten.
func scaleByTen(n events.Number, by int) events.Number {
	if n.Mantissa != 0 {
		n.Exponent += int16(by)
	}
	return n
}

// toMebibytes converts amounts of memory. Panels that show the MiB of dcgm-exporter as "MB" mean MiB; an amount in GB
// is rounded, and whether its base is 1000 or 1024 is unknown.
func toMebibytes(n events.Number, unit string) (events.Number, error) {
	_, fromBytes, _ := metric.Lookup("DCGM_FI_DEV_FB_USED_BYTES")
	var times int64
	switch unit {
	case "MiB", "MB":
		return n, nil
	case "GiB":
		times = 1 << 10
	case "TiB":
		times = 1 << 20
	case "KiB":
		times = 1 << 10
	case "B", "bytes":
		return fromBytes.Apply(n), nil
	default:
		return n, fmt.Errorf("its unit %q is none of B, KiB, MiB, GiB; export it again with Formatted data off", unit)
	}
	const most = 1 << 40
	if n.Mantissa > most || n.Mantissa < -most {
		return n, fmt.Errorf("the number has too many digits for its unit %q", unit)
	}
	n = events.NumberOf(n.Mantissa*times, n.Exponent)
	if unit == "KiB" {
		n = fromBytes.Apply(n)
	}
	return n, nil
}

// unitExponent returns the power of ten of a unit, for a metric whose unit is to. ok is false if the unit does not
// fit the metric.
func unitExponent(unit, to string) (exponent int, ok bool) {
	switch to {
	case "%", "ratio":
		return ratioExponent(unit)
	case "°C", "°C left":
		return 0, unit == "°C" || unit == "℃" || unit == "C" || unit == to
	case "W":
		return prefixExponent(unit, "W")
	case "MHz":
		return prefixExponent(unit, "Hz")
	case "mJ":
		return prefixExponent(unit, "J")
	case "ns":
		return prefixExponent(unit, "s")
	case "B/s", "MB/s":
		return prefixExponent(unit, "B/s")
	}
	return 0, false
}

func ratioExponent(unit string) (int, bool) {
	switch unit {
	case "%":
		return -2, true
	case "ratio":
		return 0, true
	}
	return 0, false
}

// prefixExponent returns the power of ten of a unit with a prefix.
func prefixExponent(unit, base string) (int, bool) {
	prefix, found := strings.CutSuffix(unit, base)
	if !found {
		return 0, false
	}
	switch prefix {
	case "":
		return 0, true
	case "n":
		return -9, true
	case "µ", "μ", "u":
		return -6, true
	case "m":
		return -3, true
	case "k":
		return 3, true
	case "M":
		return 6, true
	case "G":
		return 9, true
	case "T":
		return 12, true
	}
	return 0, false
}
