// Package history answers what was: entries of a time range, from the stored series.
//
// In: a Query and the hosts of the current view. Out: a page of entries and where the next one starts. It never folds, and
// never reads more windows than the page needs.
package history

import (
	"context"
	"log/slog"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// reader is what history needs of the stored projections (projections/snapshot.Store, adapted in query).
type reader interface {
	Series(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, windows []projections.Window) (map[projections.Window]projections.Series, error)
}

// History answers queries; safe for concurrent use.
type History struct{}

// New makes a History.
func New(r reader, lg *slog.Logger) *History { panic("contract") }

// Query asks for entries. Zero From and To mean unbounded. Limit is 1 to MaxLimit.
type Query struct {
	Hosts    []events.HostID // empty: all
	GPUs     []events.GPUID  // empty: all
	Metrics  []string        // canonical names; empty: all
	From, To events.Timestamp
	HasFrom  bool
	HasTo    bool
	Oldest   bool // oldest first; default newest first
	Limit    int
	Cursor   Cursor
}

// Cursor is an opaque place between two entries; a page that starts there goes on exactly behind the last one.
type Cursor string

// MaxLimit bounds a page.
const MaxLimit = 10_000

// Page is an answer. Next is "" at the end.
type Page struct {
	Entries []projections.Entry
	Next    Cursor
}

// Telemetry answers q from the given view. The order is (At, Host, Entity), descending unless q.Oldest. ErrCursor refuses a cursor that is not ours.
func (h *History) Telemetry(ctx context.Context, s *live.State, q Query) (Page, error) {
	panic("contract")
}
