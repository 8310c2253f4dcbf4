package rows

import "bytes"

// rowState is the result of rowEnd.
type rowState uint8

const (
	undecided rowState = iota // the end of the row may lie behind the text
	closed                    // the row ended outside quotes
	broken                    // a quote at a place where none may be
)

// rowEnd walks the row at the start of text to its end by RFC 4180. whole means that nothing follows the text. The
// row is text[:end]; the next one begins at next.
func rowEnd(text []byte, sep byte, whole bool) (end, next int, v rowState) {
	for i := 0; ; i++ {
		quoted := i < len(text) && text[i] == '"'
		if quoted {
			if i = closeQuote(text, i+1); i < 0 {
				return 0, 0, stateAtEnd(whole, broken)
			}
		}
		from := i
		for i < len(text) && text[i] != sep && text[i] != '\n' {
			if text[i] == '"' {
				return 0, 0, broken
			}
			i++
		}
		if quoted && !bareCR(text[from:i]) {
			return 0, 0, broken
		}
		switch {
		case i == len(text):
			return len(trimCR(text)), i, stateAtEnd(whole, closed)
		case text[i] == '\n':
			return len(trimCR(text[:i])), i + 1, closed
		case i > from && quoted: // a carriage return before a separator
			return 0, 0, broken
		}
	}
}

func stateAtEnd(whole bool, v rowState) rowState {
	if whole {
		return v
	}
	return undecided
}

// bareCR reports whether nothing follows a closing quote except, at most, the carriage return of the line end.
func bareCR(text []byte) bool {
	return len(text) == 0 || len(text) == 1 && text[0] == '\r'
}

// closeQuote returns the position behind the quote that closes the cell whose text starts at i, or -1 if text has no
// such quote.
func closeQuote(text []byte, i int) int {
	for {
		j := bytes.IndexByte(text[i:], '"')
		if j < 0 {
			return -1
		}
		i += j + 1
		if i == len(text) || text[i] != '"' {
			return i
		}
		i++
	}
}
