package events

import (
	"cmp"
	"strings"
)

// Canonical returns a name of a GPU with the UUID or PCI address in it, if there is one, as identities have it: "a:1B:00.0" and
// "a:0000:1b:00.0" become "a:00000000:1b:00.0". Other names stay as they are.
func (id GPUID) Canonical() GPUID {
	text := CanonicalUUID(string(id))
	for i := range len(text) { // the names of hosts may hold colons too
		if text[i] != ':' {
			continue
		}
		if address, ok := CanonicalPCI(text[i+1:]); ok {
			return GPUID(text[:i+1] + address)
		}
		if uuid := CanonicalUUID(text[i+1:]); uuid != text[i+1:] {
			return GPUID(text[:i+1] + uuid)
		}
	}
	return GPUID(text)
}

// CanonicalUUID returns a UUID as NVIDIA spells it, so that GPU-5FD4…, gpu-5fd4… and 5fd4… (nvidia_gpu_exporter leaves out
// the prefix) are one GPU. It returns any other text unchanged.
func CanonicalUUID(text string) string {
	const form = "00000000-0000-0000-0000-000000000000"
	start := len(text) - len(form)
	if start != 0 && start != len("GPU-") {
		return text
	}
	prefix := strings.ToUpper(text[:start])
	if prefix != "" && prefix != "GPU-" && prefix != "MIG-" {
		return text
	}
	for i, want := range []byte(form) {
		c := text[start+i]
		digit := '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
		if want == '-' && c != '-' || want != '-' && !digit {
			return text
		}
	}
	return cmp.Or(prefix, "GPU-") + strings.ToLower(text[start:])
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
