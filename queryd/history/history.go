package history

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// reader is what history needs of the stored projections (projections/snapshot.Store, adapted in query).
// Windows without records are left out of the answer; what is in it may be shared and is not changed.
type reader interface {
	// A window that is there is in the answer even if nothing of it is kept.
	Series(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, windows []projections.Window,
		keep func(e events.Entity, metric string) bool) (map[projections.Window]projections.HostWindow, error)
}

// History answers queries; safe for concurrent use.
type History struct {
	reader reader
	cold   cold
	lg     *slog.Logger

	moments moments
}

// New makes a History of what is in the stored series.
func New(r reader, lg *slog.Logger) *History {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &History{reader: r, lg: lg}
}

// ReadArchive makes it answer from what left the stored series as well. Call it before the first query.
func (h *History) ReadArchive(c cold) { h.cold = c }

// scan makes a scan of the view.
func (h *History) scan(s *live.State, sel *selection) scan {
	return scan{reader: h.reader, cold: h.cold, generation: s.Generation(), sel: sel}
}

// Query asks for entries. From and To are inclusive and count only with HasFrom and HasTo. Limit is 1 to
// MaxLimit.
type Query struct {
	Hosts    []events.HostID // empty: all
	GPUs     []events.GPUID  // empty: all; "host:index" means the GPU that has that index there now, wherever it was before
	Metrics  []string        // canonical names; empty: all
	From, To events.Timestamp
	HasFrom  bool
	HasTo    bool
	// Moving says that From or To were said relative to now. Then the range of the first page holds for all
	// that follow it by cursor; else a cursor is refused when the range differs from its own.
	Moving bool
	Oldest bool // oldest first; default newest first
	Limit  int
	Cursor Cursor

	Step       time.Duration // of Buckets: whole seconds, MinStep to MaxStep
	Aggregates []Aggregate   // that will be asked of the buckets; empty: see Shown. P95 takes no step over MaxP95Step
}

// MaxLimit bounds a page.
const MaxLimit = 10_000

// Page is an answer. Next is "" at the end.
type Page struct {
	Entries []projections.Entry
	Next    Cursor
}

// Telemetry answers q from the given view. The order is (At, Host, Entity), descending unless q.Oldest.
// ErrCursor refuses a cursor that is not ours or of another query. Records that are folded between two
// pages appear on the later one when they belong behind its start, and never shift what is on it.
func (h *History) Telemetry(ctx context.Context, s *live.State, q Query) (Page, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Page{}, fmt.Errorf("asking for %d entries: %w", q.Limit, ErrLimit)
	}
	sel := choose(s, q)
	span, after, err := place(q, sel)
	if err != nil {
		return Page{}, err
	}
	pick := newPick(q.Oldest, q.Limit+1, span, after, (*projections.Entry).Place)
	entries := entries{scan: h.scan(s, sel), pick: pick}
	if err := entries.run(ctx); err != nil {
		return Page{}, err
	}
	return page(pick.sorted(), q, span, sel), nil
}

// page cuts the entries, of which there may be one more than asked for, and marks where the next page starts.
func page(entries []projections.Entry, q Query, span span, sel *selection) Page {
	if len(entries) <= q.Limit {
		return Page{Entries: entries}
	}
	entries = entries[:q.Limit]
	next := cursor{after: entries[q.Limit-1].Place(), span: span, digest: sel.digest(q)}
	return Page{Entries: entries, Next: next.token()}
}
