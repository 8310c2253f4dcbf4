package rows

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Row is one row of a file.
type Row struct {
	Line  int        // physical line on which the row starts, from 1
	Size  int        // bytes of the source text, without the line end
	Cells [][]byte   // unquoted; nil with a Fault
	Text  []byte     // source text without the line end; nil with a Fault
	Fault *Rejection // reason why the line is no row: too long, bad quotes, NUL bytes

	// Tail is the end of Text, beginning with a cell with doubled quotes, where Scanner.LeaveTails left it unsplit;
	// Cells then holds only the cells before it. With a nil Tail, Cells holds all cells. Until Complete has split it,
	// Tail is any text that ends in a quote: one cell, several, or no cell at all.
	Tail  []byte
	batch *Batch
}

// Complete splits the Tail too and returns the row's Fault.
func (r *Row) Complete() *Rejection {
	if r.Tail == nil {
		return r.Fault
	}
	r.Tail = nil
	cells, fault := r.batch.splitText(r.Text, false)
	if r.Cells = cells; fault != "" {
		r.Fault = &Rejection{Line: r.Line, Text: Excerpt(r.Text), Reason: fault}
		r.Cells, r.Text = nil, nil
	}
	return r.Fault
}

// Fit drops one surplus empty cell (a trailing separator). It returns a rejection of the row for any other difference
// from the header's width.
func (r *Row) Fit(width int) *Rejection {
	n := len(r.Cells)
	switch {
	case n == width:
		return nil
	case n == width+1 && len(r.Cells[width]) == 0:
		r.Cells = r.Cells[:width]
		return nil
	case n == 1:
		return r.rejectRow(fmt.Sprintf("the row has 1 cell, the header has %d: is it a message, or is the line cut off?", width))
	case n < width:
		return r.rejectRow(fmt.Sprintf("the row has %d cells, the header has %d: is the line cut off?", n, width))
	default:
		return r.rejectRow(fmt.Sprintf("the row has %d cells, the header has %d: is there a separator in an unquoted cell?", n, width))
	}
}

func (r *Row) rejectRow(reason string) *Rejection {
	return &Rejection{Line: r.Line, Text: Excerpt(r.Text), Reason: reason}
}

// Rejection says why a row, or one cell of it when Column is set, cannot be used.
type Rejection struct {
	Line   int    // physical line, from 1
	Column string // as the header spells it; "" for the whole row
	Text   string // the rejected text, as Excerpt shortens it
	Reason string // cause and remedy, for a person
}

// Error returns the rejection in one line.
func (r *Rejection) Error() string {
	if r.Column == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d, column %s, %q: %s", r.Line, r.Column, r.Text, r.Reason)
}

// MaxText is the most bytes of text that a Rejection quotes.
const MaxText = 80

// Excerpt returns text in the form that a Rejection quotes: valid UTF-8 of at most MaxText bytes.
func Excerpt(text []byte) string {
	const more = "…"
	if len(text) <= MaxText && utf8.Valid(text) {
		return string(text)
	}
	s := strings.ToValidUTF8(string(text[:min(len(text), MaxText)]), "\uFFFD")
	if len(text) <= MaxText && len(s) <= MaxText {
		return s
	}
	cut := min(len(s), MaxText-len(more))
	for cut > 0 && cut < len(s) && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + more
}
