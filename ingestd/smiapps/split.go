package smiapps

import (
	"bytes"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/rows"
)

// fitRow fits a row's cells to the header's width: the text between the cells before a process's name and the cells
// behind it is the name, unchanged.
func (h *header) fitRow(row *rows.Row) *rows.Rejection {
	n, width := len(row.Cells), len(h.columns)
	if h.process < 0 || n <= width {
		return row.Fit(width)
	}
	if h.endsInSeparator(row.Cells) {
		n--
	}
	behind := width - 1 - h.process
	name := textBetween(row.Text, row.Cells[:h.process], row.Cells[n-behind:])
	row.Cells[h.process] = name
	copy(row.Cells[h.process+1:], row.Cells[n-behind:n])
	row.Cells = row.Cells[:width]
	return nil
}

// endsInSeparator reports whether the row ends in a separator: an empty cell follows the memory although that is the
// last column.
func (h *header) endsInSeparator(cells [][]byte) bool {
	n := len(cells)
	return h.memory == len(h.columns)-1 && len(cells[n-1]) == 0 && isMemory(cells[n-2])
}

func isMemory(cell []byte) bool {
	return bytes.HasSuffix(cell, []byte("MiB")) || len(cell) > 0 && metric.Token(cell) != events.Present
}

// textBetween returns the text between the first cells of a row and its last ones, trimmed. The cells are parts of
// the text, with blanks around them and one separator between two.
func textBetween(text []byte, first, last [][]byte) []byte {
	for _, cell := range first {
		text = bytes.TrimLeft(text, " \t")[len(cell):]
		text = bytes.TrimLeft(text, " \t")[1:]
	}
	for i := len(last) - 1; i >= 0; i-- {
		text = bytes.TrimRight(text, " \t")
		text = bytes.TrimRight(text[:len(text)-len(last[i])], " \t")
		text = text[:len(text)-1]
	}
	return bytes.Trim(text, " \t")
}
