package history

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// BucketPage is an answer by steps. Next is "" at the end.
type BucketPage struct {
	Buckets []Bucket
	Next    Cursor
}

// Buckets answers a query with a step: a bucket per step and entity that has at least one number there. Steps
// are counted from the Unix epoch. A bucket at an end of the range holds only the records within the range.
// Order and pages are as with Telemetry, by the time at which a bucket begins.
func (h *History) Buckets(ctx context.Context, s *live.State, q Query) (BucketPage, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return BucketPage{}, fmt.Errorf("asking for %d buckets: %w", q.Limit, ErrLimit)
	}
	if err := checkStep(q); err != nil {
		return BucketPage{}, err
	}
	sel := choose(s, q)
	within, after, err := place(q, sel)
	if err != nil {
		return BucketPage{}, err
	}
	starts := span{from: slotStart(slotOf(within.from, q.Step), q.Step), to: within.to}
	pick := newPick(q.Oldest, q.Limit+1, starts, after, (*Bucket).Place)
	steps := steps{
		scan: h.scan(s, sel), pick: pick, query: q, span: within,
	}
	if err := steps.run(ctx); err != nil {
		return BucketPage{}, err
	}
	buckets := pick.sorted()
	if len(buckets) <= q.Limit {
		return BucketPage{Buckets: buckets}, nil
	}
	buckets = buckets[:q.Limit]
	next := cursor{after: buckets[q.Limit-1].Place(), span: within, digest: sel.digest(q)}
	return BucketPage{Buckets: buckets, Next: next.token()}, nil
}

// steps reads buckets until a pick is full.
type steps struct {
	scan
	pick  *pick[Bucket]
	query Query
	span  span // of record times
}

const (
	maxGroup = 2048 // buckets of one group, so that memory stays bounded
	maxHosts = 64   // hosts of one group of one bucket
)

// run walks the buckets from the wanted end, a group at a time, as large as the page's end seems to need.
func (s *steps) run(ctx context.Context) error {
	var group []int64
	size, seen := 1, 0
	for slot := range s.slots() {
		if group = append(group, slot); len(group) < size {
			continue
		}
		if err := s.group(ctx, group); err != nil {
			return err
		}
		kept, missing := s.pick.room()
		if missing == 0 {
			return nil
		}
		seen += len(group)
		group = group[:0]
		windows := max(maxPairs/len(s.sel.hosts), 1)
		size = min(max(missing*seen/max(kept, 1), 1), max(windows*int(projections.WindowSpan/s.query.Step), 1), maxGroup)
	}
	return s.group(ctx, group)
}

// slots gives the buckets in which at least one host may have records, from the wanted end.
func (s *steps) slots() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		open := s.pick.open()
		times := span{from: max(s.span.from, open.from), to: min(s.span.to, slotEnd(slotOf(open.to, s.query.Step), s.query.Step))}
		next, begun := int64(0), false
		for w := range windows(s.sel.hosts, times, s.pick.oldest) {
			first := slotOf(max(w.Start(), times.from), s.query.Step)
			last := slotOf(min(slotEnd(int64(w), projections.WindowSpan), times.to), s.query.Step)
			if !begun {
				next, begun = last, true
				if s.pick.oldest {
					next = first
				}
			}
			if s.pick.oldest {
				for next = max(next, first); next <= last; next++ {
					if !yield(next) {
						return
					}
				}
				continue
			}
			for next = min(next, last); next >= first; next-- {
				if !yield(next) {
					return
				}
			}
		}
	}
}

// group reads buckets of all hosts, or one bucket of hosts in the wanted order until the pick is full.
func (s *steps) group(ctx context.Context, slots []int64) error {
	if len(slots) == 0 {
		return nil
	}
	lo, hi := slices.Min(slots), slices.Max(slots)
	times := span{from: max(s.span.from, slotStart(lo, s.query.Step)), to: min(s.span.to, slotEnd(hi, s.query.Step))}
	hosts := slices.Clone(s.sel.hosts)
	if !s.pick.oldest {
		slices.Reverse(hosts)
	}
	if len(slots) > 1 {
		return s.hosts(ctx, hosts, times)
	}
	for some := range slices.Chunk(hosts, maxHosts) {
		if err := s.hosts(ctx, some, times); err != nil {
			return err
		}
		if _, missing := s.pick.room(); missing == 0 {
			return nil
		}
	}
	return nil
}

// hosts reads a range of times of hosts, some windows at a time, and offers their buckets.
func (s *steps) hosts(ctx context.Context, hosts []*live.Host, times span) error {
	scan := s.scan
	scan.rollup = newRollup(s.query, times)
	all := make(map[events.HostID]*sums, len(hosts))
	for _, host := range hosts {
		all[host.ID] = newSums(s.query.Step, times, s.query.Aggregates)
	}
	for some := range slices.Chunk(slices.Collect(windows(hosts, times, true)), max(maxPairs/len(hosts), 1)) {
		parts, err := scan.load(ctx, hosts, some)
		if err != nil {
			return err
		}
		work, ctx := errgroup.WithContext(ctx)
		work.SetLimit(readers)
		for _, p := range parts {
			work.Go(func() error {
				all[p.host.ID].part(p, s.sel)
				return context.Cause(ctx)
			})
		}
		if err := work.Wait(); err != nil {
			return err
		}
	}
	for _, host := range hosts {
		s.pick.offer(all[host.ID].buckets(&host.Host, s.pick.oldest))
	}
	return nil
}
