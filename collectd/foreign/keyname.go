package foreign

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
)

// keyName is the parsed key of a value. Any part may be missing.
type keyName struct {
	at   time.Time // zero: none that can be read
	host string
	gpu  string
}

// parseName parses {time}_{host}_{gpu}_{number}. A host may contain '_'. A text that cannot name a host counts as
// none: keys of etcd are any bytes, and these were not validated before.
func parseName(text string, now time.Time) keyName {
	var n keyName
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

// isName reports whether intake would accept a text as the name of a host.
func isName(text string) bool {
	return len(text) <= maxHost && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// deadLetterKey returns the first time and the host of an unusable value, from its key. They place it among the dead
// letters.
func (n *keyName) deadLetterKey() (events.Timestamp, events.HostID) {
	if n.at.IsZero() {
		return 0, events.HostID(n.host)
	}
	return events.TimestampOf(n.at), events.HostID(n.host)
}

// maxHost is the length of the longest name of a host.
const maxHost = 253
