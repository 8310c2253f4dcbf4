package redact

import "strings"

// keyBytes bounds how much of a key is looked at: its end, where the noun is.
const keyBytes = 64

// IsSecretKey reports whether a key names a secret, such as password, X-Auth-Token, clientSecret or secret_access_key. The last word of a
// key decides, so token_file and password_set do not. A key is a secret by itself only where a word in front of it says so: the key of an
// event and a partition_key are none, an api_key and an access_key are.
func IsSecretKey(key string) bool {
	var buffer [2 * keyBytes]byte
	lower, last := splitKey(buffer[:0], key)
	word := endOf(lower[last:])
	switch word {
	case "header", "value", "text":
		if last == 0 {
			return false
		}
		lower = lower[:last-1]
		last = lastWord(lower)
		word = endOf(lower[last:])
	}
	if namesSecret(word) {
		return true
	}
	if last == 0 || word != "key" && word != "keys" && word != "id" && word != "material" {
		return false
	}
	before := lower[:last-1]
	previous := endOf(before[lastWord(before):])
	switch word {
	case "id":
		return previous == "session"
	case "material":
		return previous == "key"
	}
	switch previous {
	case "access", "account", "api", "encryption", "hmac", "master", "private", "secret", "shared", "signing", "age":
		return true
	}
	return false
}

// endOf returns the end of a word. It is short enough to stay on the caller's stack.
func endOf(word []byte) string { return string(word[max(0, len(word)-32):]) }

// namesSecret reports whether a word, in lower case, names a secret. Words may be written together: authtoken, apikey.
func namesSecret(word string) bool {
	switch word {
	case "authorization", "bearer", "jwt", "pwd", "credential", "credentials":
		return true
	}
	for _, end := range [...]string{
		"token", "password", "passwd", "passphrase", "secret", "cookie", "apikey", "accesskey", "secretkey", "privatekey", "sessionid",
	} {
		if strings.HasSuffix(word, end) || len(word) == len(end)+1 && word[len(end)] == 's' && strings.HasPrefix(word, end) {
			return true
		}
	}
	return false
}

// splitKey appends the end of a key to dst, in lower case and with a space between words, and returns where its last word begins. Words end at
// any mark, and where a capital letter follows a small one.
func splitKey(dst []byte, key string) (lower []byte, last int) {
	if len(key) > keyBytes {
		key = key[len(key)-keyBytes:]
	}
	small := false
	for i := range len(key) {
		c := key[i]
		isCapital := 'A' <= c && c <= 'Z'
		switch {
		case isCapital:
			if small {
				dst = append(dst, ' ')
			}
			dst = append(dst, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c >= 0x80:
			dst = append(dst, c)
		default:
			if len(dst) > 0 && dst[len(dst)-1] != ' ' {
				dst = append(dst, ' ')
			}
		}
		small = !isCapital && c >= '0'
	}
	if len(dst) > 0 && dst[len(dst)-1] == ' ' {
		dst = dst[:len(dst)-1]
	}
	return dst, lastWord(dst)
}

// lastWord returns where the last word begins.
func lastWord(words []byte) int {
	for i := len(words) - 1; i >= 0; i-- {
		if words[i] == ' ' {
			return i + 1
		}
	}
	return 0
}
