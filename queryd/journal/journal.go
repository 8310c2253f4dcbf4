package journal

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/filter"
)

// log is what a journal needs of the event log (eventlog.Log): its newest revision, which events there are in a range,
// whole revisions from the wanted end, and these events.
type log interface {
	Facts() events.Facts
	Head(ctx context.Context) (events.Revision, error)
	List(ctx context.Context, q events.Listing) (refs []events.Ref, more bool, err error)
	Fetch(ctx context.Context, refs []events.Ref) iter.Seq2[events.Event, error]
	Get(ctx context.Context, key string) (events.Event, bool, error)
}

// Journal answers queries; safe for concurrent use.
type Journal struct{ log log }

// New makes a Journal.
func New(l log) *Journal { return &Journal{log: l} }

// ErrLimit refuses a page size.
var ErrLimit = fmt.Errorf("limit takes 1 to %d", MaxLimit)

const (
	scanned    = 4096    // most events that are read for a page
	scannedRec = 4 << 20 // and most records
	fetched    = 256     // read at once, when a filter is strict
)

// Page is an answer. Next is "" at the end; where a filter lets little through, a page may have few events or none and
// yet go on. Scanned tells how many events were read for it.
type Page struct {
	Events  []events.Event
	Next    Cursor
	Scanned int
}

// Events answers q: events in order of revision and key, descending unless q.Oldest. What has left the log for the
// archive, or was removed, is not among them.
func (j *Journal) Events(ctx context.Context, q Query) (Page, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Page{}, fmt.Errorf("asking for %d events: %w", q.Limit, ErrLimit)
	}
	s := scan{log: j.log, q: q, filter: q.filter()}
	if err := s.begin(ctx); err != nil {
		return Page{}, err
	}
	if err := s.run(ctx); err != nil {
		return Page{}, err
	}
	return s.page, nil
}

// scan collects a page.
type scan struct {
	log     log
	q       Query
	filter  *filter.Filter
	listing events.Listing
	behind  *events.Ref // up to and with it, events were on earlier pages
	page    Page
	records int // on the page
	read    int // in all events read
}

// begin tells where the page starts.
func (s *scan) begin(ctx context.Context) error {
	head, err := s.log.Head(ctx)
	if err != nil {
		return err
	}
	q := &s.q
	s.listing = events.Listing{Partition: q.Partition, HasPartition: q.HasPartition, After: q.After, Upto: head, Newest: !q.Oldest, Limit: 2 * q.Limit}
	s.narrow()
	if q.Before != (events.Revision{}) {
		if !q.Before.SameLog(head) {
			return fmt.Errorf("listing events before revision %d: %w", q.Before.Number, events.ErrForeign)
		}
		s.listing.Upto.Number = min(head.Number, q.Before.Number-1)
	}
	if q.Cursor == "" {
		return nil
	}
	last, err := q.last()
	if err == nil && !last.Revision.SameLog(head) {
		err = ErrCursor
	}
	if err != nil {
		return err
	}
	s.behind = &last
	if q.Oldest {
		s.listing.After = last.Revision
		s.listing.After.Number--
	} else {
		s.listing.Upto.Number = min(s.listing.Upto.Number, last.Revision.Number)
	}
	return nil
}

// narrow asks for one partition where all wanted hosts are of one.
func (s *scan) narrow() {
	if s.q.HasPartition || len(s.q.Hosts) == 0 {
		return
	}
	if wanted := s.filter.Partitions(s.log.Facts().Partitions); len(wanted) == 1 {
		s.listing.Partition, s.listing.HasPartition = wanted[0], true
	}
}

// errFull ends a scan whose page is complete.
var errFull = errors.New("the page is full")

func (s *scan) run(ctx context.Context) error {
	for {
		refs, more, err := s.log.List(ctx, s.listing)
		if err != nil {
			return err
		}
		if err := s.take(ctx, refs); errors.Is(err, errFull) {
			return nil
		} else if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if last := refs[len(refs)-1].Revision; s.q.Oldest {
			s.listing.After = last
		} else {
			last.Number--
			s.listing.Upto = last
		}
	}
}

// take looks at the events of refs, so many at a time as the page may still need.
func (s *scan) take(ctx context.Context, refs []events.Ref) error {
	refs = slices.DeleteFunc(refs, func(r events.Ref) bool { return s.earlier(r) || !s.matchesKey(r.Key) })
	for len(refs) > 0 {
		n := min(len(refs), max(s.q.Limit+1-len(s.page.Events), s.page.Scanned, 1), fetched)
		if err := s.fetch(ctx, refs[:n]); err != nil {
			return err
		}
		refs = refs[n:]
	}
	return nil
}

// earlier tells whether an event was on an earlier page.
func (s *scan) earlier(r events.Ref) bool {
	if s.behind == nil {
		return false
	}
	order := r.Compare(*s.behind)
	return order == 0 || (order < 0) == s.q.Oldest
}

func (s *scan) fetch(ctx context.Context, refs []events.Ref) error {
	for ev, err := range s.log.Fetch(ctx, refs) {
		if err != nil {
			return err
		}
		if s.full() {
			s.page.Next = s.q.cursor(*s.behind)
			return errFull
		}
		s.behind = &events.Ref{Key: ev.Key, Revision: ev.Revision}
		records := ev.Records()
		s.page.Scanned++
		s.read += records
		if s.matches(&ev) {
			s.page.Events = append(s.page.Events, ev)
			s.records += records
		}
	}
	return nil
}

// full tells that the page takes no more, and that there is one more to look at must be known by then.
func (s *scan) full() bool {
	return len(s.page.Events) >= s.q.Limit || s.page.Scanned >= scanned || s.read >= scannedRec ||
		s.q.Records > 0 && s.records >= s.q.Records
}

// Event gives one event by its key; false when the log does not have it (any more).
func (j *Journal) Event(ctx context.Context, key string) (events.Event, bool, error) {
	return j.log.Get(ctx, key)
}
