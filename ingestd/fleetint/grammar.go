package fleetint

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// rowParser adds the records of a row.
type rowParser func(r *reader, row *rows.Row, out *dialect.Parsed)

// newGrammar returns the dialect whose files have exactly these columns, the time first, in any order and any case.
func newGrammar(name string, columns []string, parse rowParser) dialect.Grammar {
	return dialect.Grammar{
		Name:  name,
		Match: func(header [][]byte) bool { return findColumns(header, columns) != nil },
		Open: func(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
			at := findColumns(f.Header, columns)
			switch {
			case at == nil:
				return nil, errors.New("its columns are not " + strings.Join(columns, ","))
			case opt.Host == "":
				return nil, errors.New("its files name no host; give it with ?host=")
			}
			identities := dialect.NewIdentities()
			return func() dialect.Worker {
				return &worker{parse: parse, reader: newReader(columns, at, opt, identities)}
			}, nil
		},
	}
}

// findColumns returns the indices of the columns, or nil if the header has others.
func findColumns(header [][]byte, columns []string) []int {
	if len(header) != len(columns) {
		return nil
	}
	at := make([]int, len(columns))
	for i, name := range columns {
		at[i] = slices.IndexFunc(header, func(cell []byte) bool {
			return strings.EqualFold(string(bytes.TrimSpace(cell)), name)
		})
		if at[i] < 0 {
			return nil
		}
	}
	return at
}
