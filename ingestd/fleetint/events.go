package fleetint

import (
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Events returns the dialect of fleetint_events_*.csv.
func Events() dialect.Grammar {
	return newGrammar("fleetint-events", []string{"timestamp", "component", "event_name", "event_type", "message"}, parseEvent)
}

const (
	eventComponent = iota + 1
	eventName
	eventType
	eventMessage
)

// eventPrefix keeps metrics named after events apart from metrics of readings.
const eventPrefix = "event_"

// parseEvent parses one event. The value of an XID event is its code; any other event has the value 1.
func parseEvent(r *reader, row *rows.Row, out *dialect.Parsed) {
	name := r.cellOf(row, eventName)
	if fault := dialect.NameFault(name); fault != "" {
		r.rejectCell(row, eventName, strings.Replace(fault, "names no metric", "names no event", 1), out)
		return
	}
	happened := reading{metric: metric.Metric{Name: eventPrefix + string(name)}, source: string(name), text: name, value: events.Value{Number: events.Int(1)}}
	message := string(r.cellOf(row, eventMessage))
	component := string(r.cellOf(row, eventComponent))
	if isXID(component) {
		happened.code = r.mentions.findXID(message)
	}
	if happened.code != "" {
		m, conversion, _ := metric.Lookup("DCGM_FI_DEV_XID_ERRORS")
		value, err := m.Read(conversion, []byte(happened.code))
		if err != nil { // not reached: a code is digits
			r.rejectCell(row, eventMessage, err.Error(), out)
			return
		}
		happened.metric, happened.value = m, value
	}
	r.addReading(row, happened, []int{eventComponent, eventType, eventMessage}, func(s *dialect.Source) {
		r.mentions.addGPU(s, message, isXID(component) || isECC(component))
	}, out)
}

// isXID reports whether a component watches for XIDs of GPUs; XIDs of NVSwitches (SXIDs) are different codes.
func isXID(component string) bool {
	component = strings.ToLower(component)
	return strings.Contains(component, "xid") && !strings.Contains(component, "sxid")
}

func isECC(component string) bool { return strings.Contains(strings.ToLower(component), "ecc") }
