package rows

import "bytes"

// Form is the way a text falls into rows and cells.
type Form uint8

// The forms. In all of them a line end may be LF or CRLF, and blank lines are left out.
const (
	Quoted Form = iota // cells between separators; a quoted one may hold separators, line ends and doubled quotes (RFC 4180)
	Plain              // cells between separators, trimmed, never quoted: a quote is a character, a line end ends the row
	Loose              // as Quoted, but a quote inside an unquoted cell is a character, and a line end always ends the row
	Lines              // a row is a line and has one cell, the whole of it, not trimmed
)

// isBlank reports whether a line consists of blanks only. Where cells are split, a tab may be a separator, and a line
// of tabs is then a row of empty cells.
func (f Form) isBlank(line []byte) bool {
	blanks := " "
	if f == Lines {
		blanks = " \t"
	}
	return len(line) == 0 || line[0] <= ' ' && len(bytes.TrimLeft(line, blanks)) == 0
}

func trimBlanks(cell []byte) []byte { return bytes.Trim(cell, " \t") }
