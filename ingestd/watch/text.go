package watch

import (
	"encoding/binary"
	"io"
	"unicode/utf16"
)

// charset is what a file's text is written in.
type charset uint8

const (
	plain charset = iota // UTF-8, or what is taken for it
	utf16LE
	utf16BE // as PowerShell's > can write it
)

// charsetOf looks at the mark that a file begins with.
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

// decode gives the whole characters of raw in UTF-8, without the mark of UTF-16 where the file begins. In UTF-16 a line's
// end is two bytes, and the byte of one may be half of another character.
func (c charset) decode(raw []byte, begins bool) []byte {
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

// size is how many bytes of the file text is. begins tells that it is what the file begins with.
func (c charset) size(text []byte, begins bool) int64 {
	if c == plain {
		return int64(len(text))
	}
	units := 0
	if begins {
		units++ // the mark
	}
	for _, r := range string(text) {
		units += utf16.RuneLen(r)
	}
	return 2 * int64(units)
}
