package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/filter"
)

// eventLog reads the event log (eventlog.Log): its newest revision, a list of the events in a range in whole
// revisions from the wanted end, and the listed events.
type eventLog interface {
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
	Get(ctx context.Context, key string) (events.Event, bool, error)
}

// Journal answers queries. It is safe for concurrent use.
type Journal struct{ log eventLog }

// New returns a Journal of a log.
func New(l eventLog) *Journal { return &Journal{log: l} }

// ErrLimit refuses a page size.
var ErrLimit = fmt.Errorf("limit takes 1 to %d", MaxLimit)

const (
	maxScanned        = 4096    // most events read for a page
	maxScannedRecords = 4 << 20 // most records read for a page
	maxFetched        = 256     // most events fetched at once, when few pass the filter
)

// Page is an answer. Next is "" on the last page; if few events pass the filter, a page may have few events or none
// and still have a Next. Scanned is the number of events read for the page.
type Page struct {
	Events  []events.Event
	Next    Cursor
	Scanned int
}

// Events answers q: events in order of revision and key, descending unless q.Oldest. Events that have left the log
// for the archive, or were removed, are not included. Neither are events and records outside of the scope and, unless it is of
// everything, damaged events: an answer has the same bytes as if the log did not have them. So a page of a scope by namespace has
// no bound on the events that are read for it but the time of ctx.
func (j *Journal) Events(ctx context.Context, scope access.Scope, q Query) (Page, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Page{}, fmt.Errorf("asking for %d events: %w", q.Limit, ErrLimit)
	}
	s := scan{log: j.log, scope: scope, q: q, filter: q.recordFilter()}
	if err := s.startPage(ctx); err != nil {
		return Page{}, err
	}
	if err := s.readPage(ctx); err != nil {
		return Page{}, err
	}
	return s.page, nil
}

// scan reads the events of one page.
type scan struct {
	log         eventLog
	scope       access.Scope
	q           Query
	filter      *filter.Filter
	listing     events.Listing
	last        *events.Ref // events up to and including it were on earlier pages
	page        Page
	records     int // on the page
	readRecords int // in all events read
}

// startPage sets the range in which the page starts.
func (s *scan) startPage(ctx context.Context) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	q := &s.q
	s.listing = events.Listing{Partition: q.Partition, HasPartition: q.HasPartition, After: q.After, Upto: head, Newest: !q.Oldest, Limit: 2 * q.Limit}
	s.narrowPartition()
	if q.Before != (events.Revision{}) {
		if !q.Before.SameLog(head) {
			return fmt.Errorf("listing events before revision %d: %w", q.Before.Number, events.ErrForeign)
		}
		s.listing.Upto.Number = min(head.Number, q.Before.Number-1)
	}
	if q.Cursor == "" {
		return nil
	}
	last, err := q.decodeCursor(s.scope)
	if err == nil && !last.Revision.SameLog(head) {
		err = ErrCursor
	}
	if err != nil {
		return err
	}
	s.last = &last
	if q.Oldest {
		s.listing.After = last.Revision
		s.listing.After.Number--
	} else {
		s.listing.Upto.Number = min(s.listing.Upto.Number, last.Revision.Number)
	}
	return nil
}

// narrowPartition limits the listing to one partition if all wanted hosts are in it.
func (s *scan) narrowPartition() {
	if s.q.HasPartition || len(s.q.Hosts) == 0 {
		return
	}
	if wanted := s.filter.Partitions(s.log.Facts().Partitions); len(wanted) == 1 {
		s.listing.Partition, s.listing.HasPartition = wanted[0], true
	}
}

// errFull ends a scan whose page is complete.
var errFull = errors.New("the page is full")

func (s *scan) readPage(ctx context.Context) error {
	for {
		refs, more, err := s.log.List(ctx, s.listing)
		if err != nil {
			return err
		}
		if more { // readRefs removes refs
			s.continueListing(refs[len(refs)-1].Revision)
		}
		if err := s.readRefs(ctx, refs); errors.Is(err, errFull) {
			return nil
		} else if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// continueListing moves the listing behind the last revision of a list.
func (s *scan) continueListing(last events.Revision) {
	if s.q.Oldest {
		s.listing.After = last
		return
	}
	last.Number--
	s.listing.Upto = last
}

// readRefs reads the events of refs, each time as many as the page may still need.
func (s *scan) readRefs(ctx context.Context, refs []events.Ref) error {
	refs = slices.DeleteFunc(refs, func(r events.Ref) bool { return s.onEarlierPage(r) || !s.matchesKey(r.Key) })
	for len(refs) > 0 {
		n := min(len(refs), max(s.q.Limit+1-len(s.page.Events), s.page.Scanned, 1), maxFetched)
		if err := s.fetchEvents(ctx, refs[:n]); err != nil {
			return err
		}
		refs = refs[n:]
	}
	return nil
}

// onEarlierPage reports whether an event was on an earlier page.
func (s *scan) onEarlierPage(r events.Ref) bool {
	if s.last == nil {
		return false
	}
	order := r.Compare(*s.last)
	return order == 0 || (order < 0) == s.q.Oldest
}

func (s *scan) fetchEvents(ctx context.Context, refs []events.Ref) error {
	for ev, err := range s.log.Fetch(ctx, refs) {
		if err != nil {
			return err
		}
		if !cutVisible(s.scope, &ev) {
			continue // as if it were not there: it counts for nothing
		}
		if s.isFull() {
			s.page.Next = s.q.cursorAfter(s.scope, *s.last)
			return errFull
		}
		s.last = &events.Ref{Key: ev.Key, Revision: ev.Revision}
		records := ev.Records()
		s.page.Scanned++
		s.readRecords += records
		if s.matchesEvent(&ev) {
			s.page.Events = append(s.page.Events, ev)
			s.records += records
		}
	}
	return nil
}

// isFull reports whether the page is complete. It is called only when a further event has been read, so that Next is
// set only if there is one.
func (s *scan) isFull() bool {
	return len(s.page.Events) >= s.q.Limit || s.page.Scanned >= maxScanned || s.readRecords >= maxScannedRecords ||
		s.q.Records > 0 && s.records >= s.q.Records
}

// Event returns one event by its key; false when the log does not have it, or no longer has it, or it is outside of the scope.
func (j *Journal) Event(ctx context.Context, scope access.Scope, key string) (events.Event, bool, error) {
	ev, found, err := j.log.Get(ctx, key)
	if err != nil || !found || !seesKey(scope, key) || !cutVisible(scope, &ev) {
		return events.Event{}, false, err
	}
	return ev, true, nil
}
