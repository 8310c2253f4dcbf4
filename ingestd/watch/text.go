package watch

import (
	"encoding/binary"
	"io"
	"unicode/utf16"
)

// charset is a file's text encoding.
type charset uint8

const (
	plain charset = iota // UTF-8, and everything that is not recognized as UTF-16
	utf16LE
	utf16BE // written by PowerShell's > where configured so
)

// charsetOf returns the encoding named by the byte order mark of a file.
func charsetOf(file io.ReaderAt) charset {
	var mark [2]byte
	if n, _ := file.ReadAt(mark[:], 0); n < len(mark) {
		return plain
	}
	switch mark {
	case [2]byte{0xff, 0xfe}:
		return utf16LE
	case [2]byte{0xfe, 0xff}:
		return utf16BE
	}
	return plain
}

// decodeText returns the complete characters of raw in UTF-8, without the byte order mark of UTF-16 if raw is the
// beginning of the file. A line break in UTF-16 has two bytes, and the byte of a line break may be half of another
// character.
func (c charset) decodeText(raw []byte, begins bool) []byte {
	if c == plain {
		return raw
	}
	if begins && len(raw) > 1 {
		raw = raw[2:]
	}
	units := make([]uint16, 0, len(raw)/2)
	for ; len(raw) > 1; raw = raw[2:] {
		unit := binary.LittleEndian.Uint16(raw)
		if c == utf16BE {
			unit = binary.BigEndian.Uint16(raw)
		}
		units = append(units, unit)
	}
	return []byte(string(utf16.Decode(units)))
}

// encodedSize returns the number of bytes that text takes in the file. begins reports whether text is at the
// beginning of the file.
func (c charset) encodedSize(text []byte, begins bool) int64 {
	if c == plain {
		return int64(len(text))
	}
	units := 0
	if begins {
		units++ // the byte order mark
	}
	for _, r := range string(text) {
		units += utf16.RuneLen(r)
	}
	return 2 * int64(units)
}
