package metric

import (
	"bytes"
	"strconv"

	"telemetry-pipeline/events"
)

// words are the kinds of words that stand for readings of a metric, as nvidia-smi prints them.
type words uint8

const (
	flags   words = 1 << iota // Enabled, Not Active, Yes
	masks                     // 0x1F
	pstates                   // P0 to P15
	actions                   // what gpu_recovery_action asks for
	healths                   // fabric.health.summary
)

// Spelled is the metric with the words that tools write for readings of many: Enabled, Not Active and No are 1
// or 0, and 0x1F is 31. For a metric that the catalogue does not know, Read takes them only so: of another
// source's column they may be text.
func (m Metric) Spelled() Metric {
	if !m.Known() {
		m.words |= flags | masks
	}
	return m
}

// parseWord gives the reading that a trimmed text stands for. Case does not matter.
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

// readMask reads up to 64 bits. Digits beyond those of a Number are rounded, which no real mask has.
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

// readAction knows the texts of nvidia-smi and of XID 154 for NVML's recovery actions. Drivers gain new ones: the range of
// the metric takes numbers that have no word here, for whatever the driver asks for is a fault and no corrupt read.
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
