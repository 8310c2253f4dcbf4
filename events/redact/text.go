package redact

import "strings"

// Hidden stands in place of a secret.
const Hidden = "(left out)"

// Text returns a text without the passwords of URLs in it, and without a private key. A text that has none is returned as it is.
func Text(s string) string {
	if holdsPrivateKey(s) {
		return Hidden
	}
	for from := 0; ; {
		begin, end := findUserinfo(s, from)
		if begin < 0 {
			return s
		}
		s = s[:begin] + Hidden + s[end:]
		from = begin + len(Hidden)
	}
}

// isClean reports whether Text would return a text as it is.
func isClean(s string) bool {
	if holdsPrivateKey(s) {
		return false
	}
	begin, _ := findUserinfo(s, 0)
	return begin < 0
}

// leastPrivateKey is shorter than any private key in text.
const leastPrivateKey = 20

func holdsPrivateKey(s string) bool {
	return len(s) > leastPrivateKey && (strings.Contains(s, "PRIVATE KEY-----") || strings.Contains(s, "AGE-SECRET-KEY-1"))
}

// findUserinfo returns where the user and password of a URL stand in a text, behind a position; begin is -1 if there is none.
func findUserinfo(s string, from int) (begin, end int) {
	for {
		at := strings.Index(s[from:], "://")
		if at < 0 {
			return -1, -1
		}
		begin = from + at + len("://")
		length := strings.IndexAny(s[begin:], "/?# \t\n\"'<>,;")
		if length < 0 {
			length = len(s) - begin
		}
		host := s[begin : begin+length]
		if at := strings.LastIndexByte(host, '@'); at > 0 && host[:at] != Hidden {
			return begin, begin + at
		}
		from = begin
	}
}
