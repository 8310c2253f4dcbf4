package dialect

import "telemetry-pipeline/ingestd/rows"

// Grammar is a dialect of telemetry files as Detect sees it. Each dialect's package has one.
type Grammar struct {
	Name string    // the name in ?dialect= and in answers
	Form rows.Form // how its text falls into rows

	// Serial means that a row may depend on the rows before it: one worker gets all rows, in file order.
	Serial bool

	// Bare means that a header without readings is a complete file: there was nothing to list, such as no process.
	Bare bool

	// Tails means that its workers accept rows with a Tail, in form rows.Quoted.
	Tails bool

	// Match reports whether a file has this dialect by its first row. Nil: a header never shows it.
	Match func(header [][]byte) bool
	// Begins reports the same by the beginning of the text; Detect calls it before any Match. Nil: the beginning
	// never shows it.
	Begins func(head []byte) bool

	// Open reads the file's beginning and returns a constructor of workers, one for each goroutine. Its error refuses
	// the file, and names the missing part and the remedy.
	Open func(f File, opt Options) (func() Worker, error)
}

// File is the beginning of a file whose dialect is known. Except for Header, nothing of it is valid after Open
// returns.
type File struct {
	Header [][]byte // the first row, or Options.Columns where the file has no header; nil in form rows.Lines
	Head   []byte   // the first bytes of the text, up to 64 KiB, without a byte order mark
}

// Worker parses rows for one goroutine.
type Worker interface {
	// Parse appends the row's records or rejections, or both, to out. For a row that by its nature is no reading (a
	// comment, a repeated header, a family that is no telemetry) it increments out.Skipped instead.
	Parse(row *rows.Row, out *Parsed)
}
