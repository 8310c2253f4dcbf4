package events

import (
	"encoding/hex"
	"slices"
)

// UUIDKind numbers the prefixes of NVIDIA's UUIDs where stored forms write a UUID as its 16 bytes. The numbers never change.
type UUIDKind byte

// UUIDKinds is the number of kinds.
const UUIDKinds = 2

// uuidLength is the length of a UUID's text.
const uuidLength = len("GPU-00000000-0000-0000-0000-000000000000")

func uuidPrefixes() [UUIDKinds]string { return [...]string{"GPU-", "MIG-"} }

// UUIDKindOf reports whether text is a prefix and a UUID in lower case, so that its 16 bytes and its kind are all of it.
func UUIDKindOf(text string) (UUIDKind, bool) {
	if len(text) != uuidLength {
		return 0, false
	}
	prefixes := uuidPrefixes()
	kind := slices.Index(prefixes[:], text[:4])
	return UUIDKind(max(kind, 0)), kind >= 0 && isLowerUUID(text[4:])
}

func isLowerUUID(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f':
		default:
			return false
		}
	}
	return true
}

// AppendUUID appends the 16 bytes of a text of which UUIDKindOf reports true.
func AppendUUID(dst []byte, text string) []byte {
	var digits [32]byte
	n := 0
	for i := len("GPU-"); i < len(text); i++ {
		if text[i] != '-' {
			digits[n] = text[i]
			n++
		}
	}
	dst, _ = hex.AppendDecode(dst, digits[:]) // UUIDKindOf has checked the digits
	return dst
}

// AppendUUIDText appends the text of which a UUID's kind and 16 bytes were stored. The kind is less than UUIDKinds.
func AppendUUIDText(dst []byte, kind UUIDKind, uuid []byte) []byte {
	dst = append(dst, uuidPrefixes()[kind]...)
	for i, part := range [...][]byte{uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, part)
	}
	return dst
}
