package dialect

import "telemetry-pipeline/ingestd/rows"

// Grammar is a dialect of telemetry files as the detection sees it. Each dialect's package has one.
type Grammar struct {
	Name string    // as ?dialect= takes it and answers tell it
	Form rows.Form // how its text falls into rows

	// Serial says that what a row means depends on those before it: one worker gets all rows, in file order.
	Serial bool

	// Bare says that a header without readings is a whole file: there was nothing to list, such as no process.
	Bare bool

	// Tails says that its workers take rows with a Tail, in form rows.Quoted.
	Tails bool

	// Match tells whether a file is of this dialect by its first row. Nil: it is never told by a header.
	Match func(header [][]byte) bool
	// Begins tells so by how the text begins; it is asked before any Match. Nil: it is never told by that.
	Begins func(head []byte) bool

	// Open reads what the file says of itself and gives a maker of workers, one for each goroutine. Its error
	// refuses the file: it says what is missing and what to do.
	Open func(f File, opt Options) (func() Worker, error)
}

// File is the beginning of a file whose dialect is known. Nothing of it is valid after Open returns, except
// Header.
type File struct {
	Header [][]byte // the first row, or Options.Columns where the file has no header; nil in form rows.Lines
	Head   []byte   // the first bytes of the text, up to 64 KiB, without a byte order mark
}

// Worker parses rows for one goroutine.
type Worker interface {
	// Parse appends what the row gives to out: records, rejections, or both. A row that is no reading by its
	// nature (a comment, a repeated header, a family that is no telemetry) gives out.Skipped instead.
	Parse(row *rows.Row, out *Parsed)
}
