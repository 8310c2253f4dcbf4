package dialect

import (
	"net"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
)

// indexOf returns a GPU's index in its canonical form; deviceIndex takes it from a device name such as nvidia3.
func indexOf(text string) (string, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return strconv.FormatUint(n, 10), err == nil
}

func deviceIndex(device string) string {
	digits, found := strings.CutPrefix(device, "nvidia")
	if index, ok := indexOf(digits); found && ok {
		return index
	}
	return ""
}

// pciAddress returns an address in its canonical form, and any other text in lower case.
func pciAddress(text string) string {
	if address, ok := events.CanonicalPCI(text); ok {
		return address
	}
	return strings.ToLower(text)
}

// hostOf returns an instance without its port.
func hostOf(instance string) string {
	if host, _, err := net.SplitHostPort(instance); err == nil {
		return host
	}
	return instance
}

// isLocalName reports whether host is a name that every host has for itself.
func isLocalName(host string) bool {
	switch strings.ToLower(host) {
	case "localhost", "localhost.localdomain", "127.0.0.1", "::1":
		return true
	}
	return false
}
