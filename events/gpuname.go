package events

import "strings"

// Canonical returns a name of a GPU with the PCI address in it, if there is one, as identities have it: "a:1B:00.0" and
// "a:0000:1b:00.0" become "a:00000000:1b:00.0". Other names stay as they are.
func (id GPUID) Canonical() GPUID {
	text := string(id)
	for i := range len(text) { // the names of hosts may hold colons too
		if text[i] != ':' {
			continue
		}
		if address, ok := CanonicalPCI(text[i+1:]); ok {
			return GPUID(text[:i+1] + address)
		}
	}
	return id
}

// CanonicalPCI returns a PCI address as identities have it: in lower case, with a domain of eight digits. The domain may be
// missing, or have four digits or more. It returns false for other texts.
func CanonicalPCI(text string) (address string, ok bool) {
	domain, rest := "", text
	if strings.Count(text, ":") == 2 {
		domain, rest, _ = strings.Cut(text, ":")
		if len(domain) < 4 || len(domain) > 8 {
			return "", false
		}
	}
	bus, slot, _ := strings.Cut(rest, ":")
	device, function, _ := strings.Cut(slot, ".")
	if len(bus) != 2 || len(device) != 2 || len(function) != 1 || strings.Trim(domain+bus+device+function, "0123456789abcdefABCDEF") != "" {
		return "", false
	}
	return strings.Repeat("0", 8-len(domain)) + strings.ToLower(domain+":"+rest), true
}
