package dialect

import (
	"net"
	"strconv"
	"strings"
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

// pciAddress returns an address in lower case with a domain of 8 digits, so that 0F:00.0 and 00000000:0f:00.0 are
// one.
func pciAddress(text string) string {
	text = strings.ToLower(text)
	domain, rest, ok := strings.Cut(text, ":")
	switch {
	case !ok:
		return text
	case !strings.Contains(rest, ":"):
		domain, rest = "", text
	}
	return strings.Repeat("0", max(0, 8-len(domain))) + domain + ":" + rest
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
