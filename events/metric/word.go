package metric

import (
	"bytes"
	"strconv"

	"telemetry-pipeline/events"
)

// words is a set of the kinds of words that are accepted as readings of a metric, as printed by nvidia-smi.
type words uint8

const (
	flags   words = 1 << iota // Enabled, Not Active, Yes
	masks                     // 0x1F
	pstates                   // P0 to P15
	actions                   // values of gpu_recovery_action
	healths                   // fabric.health.summary
)

// Spelled returns the metric with the words that tools write for many readings: Enabled, Not Active and No are 1 or
// 0, and 0x1F is 31. For a metric outside the catalogue Read accepts them only after Spelled, because in another
// source's column they may be plain text.
func (m Metric) Spelled() Metric {
	if !m.Known() {
		m.words |= flags | masks
	}
	return m
}

// parseWord returns the reading for a trimmed text. It ignores case.
func (w words) parseWord(text []byte) (events.Number, bool) {
	const longest = len("system reboot required")
	if w == 0 || len(text) > longest {
		return events.Number{}, false
	}
	lower := string(bytes.ToLower(text))
	for _, kind := range [...]struct {
		words words
		read  func(lower string) (events.Number, bool)
	}{{flags, readFlag}, {masks, readMask}, {pstates, readPstate}, {actions, readAction}, {healths, readHealth}} {
		if w&kind.words == 0 {
			continue
		}
		if n, ok := kind.read(lower); ok {
			return n, true
		}
	}
	return events.Number{}, false
}

func readFlag(lower string) (events.Number, bool) {
	switch lower {
	case "active", "enabled", "yes", "true":
		return events.Int(1), true
	case "not active", "disabled", "no", "false":
		return events.Number{}, true
	}
	return events.Number{}, false
}

// readMask parses up to 64 bits. Digits beyond the precision of a Number are rounded; no real mask has them.
func readMask(lower string) (events.Number, bool) {
	if len(lower) < len("0x0") || lower[:2] != "0x" {
		return events.Number{}, false
	}
	v, err := strconv.ParseUint(lower[2:], 16, 64)
	if err != nil {
		return events.Number{}, false
	}
	n, err := events.ParseNumber(strconv.FormatUint(v, 10))
	return n, err == nil
}

func readPstate(lower string) (events.Number, bool) {
	if len(lower) < len("p0") || lower[0] != 'p' || lower[1] == '+' {
		return events.Number{}, false
	}
	v, err := strconv.ParseUint(lower[1:], 10, 4)
	return events.Int(int64(v)), err == nil
}

// readAction returns the number of a recovery action of NVML, in the words of nvidia-smi and of XID 154. New drivers
// add actions: the metric's range also accepts numbers without a word here, since any action that the driver requests
// is a fault and not a corrupt read.
func readAction(lower string) (events.Number, bool) {
	switch lower {
	case "none":
		return events.Number{}, true
	case "reset", "gpu reset", "gpu reset required":
		return events.Int(1), true
	case "reboot", "node reboot", "node reboot required":
		return events.Int(2), true
	case "drain p2p":
		return events.Int(3), true
	case "drain and reset":
		return events.Int(4), true
	case "recover imex domain":
		return events.Int(5), true
	case "bus reset", "gpu bus reset":
		return events.Int(6), true
	case "system reboot", "system reboot required":
		return events.Int(7), true
	}
	return events.Number{}, false
}

func readHealth(lower string) (events.Number, bool) {
	switch lower {
	case "not supported":
		return events.Number{}, true
	case "healthy":
		return events.Int(1), true
	case "unhealthy":
		return events.Int(2), true
	case "limited", "limited capacity":
		return events.Int(3), true
	}
	return events.Number{}, false
}
