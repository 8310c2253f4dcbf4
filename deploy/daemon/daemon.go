// Package daemon turns parts into a process that a platform can manage.
package daemon

import (
	"context"
	"flag"
	"log/slog"
)

// Part is one part of a process. Parts are listed in the direction of the data: they start from the last to the first and stop
// from the first to the last. Nil functions are skipped.
type Part struct {
	Name  string
	Run   func(ctx context.Context) error // blocks until ctx ends, then drains
	Ready func() error                    // nil once current
	Close func() error                    // after Run returned
}

// Main runs a process: parses flags with environment fallback, logs, serves the admin listener, starts and stops
// the parts in order, and exits.
func Main(name string, flags func(*flag.FlagSet), build func(ctx context.Context, lg *slog.Logger) ([]Part, error)) {
	panic("contract")
}
