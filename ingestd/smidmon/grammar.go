package smidmon

import (
	"bytes"
	"errors"
	"slices"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Dmon returns the dialect of nvidia-smi dmon.
func Dmon() dialect.Grammar { return newGrammar("nvidia-smi-dmon", false) }

// Pmon returns the dialect of nvidia-smi pmon.
func Pmon() dialect.Grammar { return newGrammar("nvidia-smi-pmon", true) }

func newGrammar(name string, processes bool) dialect.Grammar {
	return dialect.Grammar{
		Name:   name,
		Form:   rows.Lines,
		Bare:   processes, // none may run
		Serial: true,      // the time of a row depends on the rows before it
		Begins: func(head []byte) bool {
			line, _, _ := bytes.Cut(head, []byte("\n"))
			names := headerNames(line)
			return names != nil && slices.Contains(names, "pid") == processes
		},
		Open: func(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
			h, err := firstHeader(f.Head)
			switch {
			case err != nil:
				return nil, err
			case h == nil:
				return nil, errors.New("no line at its beginning names the columns, like # gpu pwr gtemp")
			case h.pid >= 0 && !processes:
				return nil, errors.New("it has rows per process; that is dialect nvidia-smi-pmon")
			case h.pid < 0 && processes:
				return nil, errors.New("it has no column pid; without it that is dialect nvidia-smi-dmon")
			}
			if err := opt.CheckRequired(true, !h.hasDate()); err != nil {
				return nil, err
			}
			return func() dialect.Worker { return newWorker(opt, h) }, nil
		},
	}
}

// firstHeader returns the first line that names columns, or nil if there is none.
func firstHeader(head []byte) (*header, error) {
	for line := range bytes.Lines(head) {
		if h, err := readHeader(line); h != nil || err != nil {
			return h, err
		}
	}
	return nil, nil
}
