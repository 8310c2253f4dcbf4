package main

import (
	"fmt"
	"io"
)

// report is the text about a run. It has no times and no random names, so that two runs of one chart have the same.
type report struct {
	out    io.Writer
	faults int
}

// line writes a line.
func (r *report) line(format string, args ...any) {
	fmt.Fprintf(r.out, format+"\n", args...)
}

// fault writes a line about something that is not as it should be, and counts it.
func (r *report) fault(format string, args ...any) {
	r.faults++
	r.line("FAULT: "+format, args...)
}
