package smiapps

import (
	"bytes"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/rows"
)

// fitRow gives a row's cells the header's width: what is between the cells before a process's name and those behind it is
// the name, as the text has it.
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

// endsInSeparator tells that the row ends in a separator: behind the memory, where that is the last column, is an empty cell.
func (h *header) endsInSeparator(cells [][]byte) bool {
	n := len(cells)
	return h.memory == len(h.columns)-1 && len(cells[n-1]) == 0 && isMemory(cells[n-2])
}

func isMemory(cell []byte) bool {
	return bytes.HasSuffix(cell, []byte("MiB")) || len(cell) > 0 && metric.Token(cell) != events.Present
}

// textBetween gives the text between the first cells of a row and its last ones, trimmed. The cells are parts of the text,
// with blanks around them and one separator between two.
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
