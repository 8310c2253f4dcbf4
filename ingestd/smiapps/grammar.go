package smiapps

import (
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Grammar returns this dialect for detection. Rows are read in file order, because a header in the middle changes the
// meaning of the rows after it.
func Grammar() dialect.Grammar {
	return dialect.Grammar{Name: "nvidia-smi-apps", Form: rows.Plain, Serial: true, Bare: true, Match: Match, Open: openFile}
}

func openFile(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
	h, err := readHeader(f.Header, opt)
	if err != nil {
		return nil, err
	}
	return func() dialect.Worker { return newWorker(h, opt) }, nil
}
