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

// reader reads the stored series (projections/snapshot.Store, adapted in query). Answers may be shared and are not modified.
type reader interface {
	// List returns the chunks of windows.
	List(ctx context.Context, g projections.Generation, q projections.ChunkQuery) (projections.ChunkList, error)
	// Read returns the records of windows that List returned, in its order, or ErrMoved if a chunk is not there any more.
	Read(ctx context.Context, windows []projections.WindowChunks,
		keep func(e events.Entity, metric string) bool) ([]projections.WindowSeries, error)
}

// History answers queries. It is safe for concurrent use.
type History struct {
	reader reader
	cold   archiveReader
	lg     *slog.Logger

	mostPoints int // in memory for one query of Columns or Groups

	moments momentCache
}

// New returns a History of the stored series.
func New(r reader, lg *slog.Logger) *History {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &History{reader: r, lg: lg, mostPoints: MaxPoints}
}

// ReadArchive makes h also answer from the archive. Call it before the first query.
func (h *History) ReadArchive(c archiveReader) { h.cold = c }

// newScan returns a scan of the view, which counts in plan unless it is nil.
func (h *History) newScan(s *live.State, sel *selection, plan *Plan) scan {
	if plan == nil {
		plan = new(Plan)
	}
	return scan{reader: h.reader, cold: h.cold, state: s, sel: sel, plan: plan, mostPoints: h.mostPoints}
}

// Query asks for entries. From and To are inclusive and apply only with HasFrom and HasTo. Limit is 1 to MaxLimit.
type Query struct {
	Hosts    []events.HostID // empty: all
	GPUs     []events.GPUID  // empty: all; "host:index" selects the GPU that has that index there now, wherever it was before
	Metrics  []string        // canonical names; empty: all
	From, To events.Timestamp
	HasFrom  bool
	HasTo    bool
	// Moving means that From or To were relative to now. Then the range of the first page applies to all pages that
	// follow it by cursor; otherwise a cursor is refused when the range differs from its own.
	Moving bool
	Oldest bool // oldest first; default newest first
	Limit  int
	Cursor Cursor

	Plan *Plan // nil, or where to count the work

	columns bool // the query is one of Columns

	Step       time.Duration // for Buckets: whole seconds, MinStep to MaxStep
	Aggregates []Aggregate   // of the buckets; empty: see Shown. P95 takes no step over MaxP95Step
}

// MaxLimit bounds a page.
const MaxLimit = 10_000

// Page is an answer. Next is "" on the last page.
type Page struct {
	Entries []projections.Entry
	Next    Cursor
}

// Telemetry answers q from the given view. The order is (At, Host, Entity), descending unless q.Oldest. It returns
// ErrCursor for an invalid cursor or a cursor of another query. Records folded between two pages appear on the later
// page if they belong after its start, and never shift its entries.
func (h *History) Telemetry(ctx context.Context, s *live.State, q Query) (Page, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Page{}, fmt.Errorf("asking for %d entries: %w", q.Limit, ErrLimit)
	}
	sel := newSelection(s, q)
	span, after, err := pageRange(q, sel)
	if err != nil {
		return Page{}, err
	}
	pick := newTopN(q.Oldest, q.Limit+1, span, after, (*projections.Entry).Place)
	entries := entryScan{scan: h.newScan(s, sel, q.Plan), top: pick}
	if err := entries.readEntries(ctx); err != nil {
		return Page{}, err
	}
	return cutPage(pick.sortedItems(), q, span, sel), nil
}

// cutPage returns the page of the entries, of which there may be one more than asked for, with the cursor of the next
// page.
func cutPage(entries []projections.Entry, q Query, span timeRange, sel *selection) Page {
	if len(entries) <= q.Limit {
		return Page{Entries: entries}
	}
	entries = entries[:q.Limit]
	next := cursor{after: entries[q.Limit-1].Place(), times: span, digest: sel.filterDigest(q)}
	return Page{Entries: entries, Next: next.encodeCursor()}
}
