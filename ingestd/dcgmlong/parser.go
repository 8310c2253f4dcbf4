package dcgmlong

import (
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Match tells whether a header is of this dialect.
func Match(header [][]byte) bool { panic("contract") }

// Parser knows one file's columns. It is safe for concurrent use; its workers are not.
type Parser struct{}

// New reads the header. An error refuses the file: it says which column is missing or given twice, and what to do.
func New(header [][]byte, opt dialect.Options) (*Parser, error) { panic("contract") }

// Worker gives a parser of rows for one goroutine. Workers of a Parser share identities.
func (p *Parser) Worker() *Worker { panic("contract") }

// Worker parses rows for one goroutine.
type Worker struct{}

// Parse appends what the row gives to out: records, rejections, or both; a data row never gives neither. A row's
// Fault becomes a rejection.
func (w *Worker) Parse(row *rows.Row, out *dialect.Parsed) { panic("contract") }
