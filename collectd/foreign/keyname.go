package foreign

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
)

// name is what the key of a value says. Any part may be missing.
type name struct {
	at   time.Time // zero: it says none that can be read
	host string
	gpu  string
}

// parseName reads {time}_{host}_{gpu}_{number}. A host may have a '_' of its own. What cannot name a host is none: keys of
// etcd are any bytes, and nobody looked at these before.
func parseName(text string, now time.Time) name {
	var n name
	parts := strings.Split(text, "_")
	clock := dialect.NewClock(dialect.Options{Now: now})
	if at, err := clock.Read([]byte(parts[0])); err == nil {
		n.at = at.At.Time()
	}
	if last := len(parts) - 1; last >= 3 {
		n.host, n.gpu = strings.Join(parts[1:last-1], "_"), parts[last-1]
	}
	if !isName(n.host) {
		n.host = ""
	}
	return n
}

// isName tells whether intake would take a text for the name of a host.
func isName(text string) bool {
	return len(text) <= maxHost && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// place is where the value goes when it cannot be used: the first time and the host that its key says.
func (n *name) place() (events.Timestamp, events.HostID) {
	if n.at.IsZero() {
		return 0, events.HostID(n.host)
	}
	return events.TimestampOf(n.at), events.HostID(n.host)
}

// maxHost is the length of the longest name of a host.
const maxHost = 253
