package dcgmdmon

import (
	"bytes"
	"errors"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Grammar returns the dialect of dcgmi dmon.
func Grammar() dialect.Grammar {
	return dialect.Grammar{
		Name:   "dcgmi-dmon",
		Form:   rows.Lines,
		Serial: true, // the time of a row depends on the rows before it
		Begins: func(head []byte) bool {
			line, _, _ := bytes.Cut(head, []byte("\n"))
			return isHeader(line)
		},
		Open: openFile,
	}
}

func openFile(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
	for line := range bytes.Lines(f.Head) {
		if !isHeader(line) {
			continue
		}
		h, err := readHeader(bytes.TrimRight(line, "\r\n"))
		if err == nil {
			err = opt.CheckRequired(true, true)
		}
		return func() dialect.Worker { return newWorker(opt, h) }, err
	}
	return nil, errors.New("no line at its beginning names the columns, like #Entity GPUTL POWER")
}
