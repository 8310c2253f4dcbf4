package history

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// BucketPage is a page of buckets. Next is "" on the last page.
type BucketPage struct {
	Buckets []Bucket
	Next    Cursor
}

// Buckets answers a query with a step: one bucket for each step and entity with at least one number. Steps are
// counted from the Unix epoch. A bucket at an end of the range holds only the records within the range. Order and
// pages are as with Telemetry, by the time at which a bucket begins.
func (h *History) Buckets(ctx context.Context, s *live.State, q Query) (BucketPage, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return BucketPage{}, fmt.Errorf("asking for %d buckets: %w", q.Limit, ErrLimit)
	}
	if err := checkStep(q); err != nil {
		return BucketPage{}, err
	}
	sel := newSelection(s, q)
	within, after, err := pageRange(q, sel)
	if err != nil {
		return BucketPage{}, err
	}
	starts := timeRange{from: slotStart(slotOf(within.from, q.Step), q.Step), to: within.to}
	pick := newTopN(q.Oldest, q.Limit+1, starts, after, (*Bucket).Place)
	steps := bucketScan{
		scan: h.newScan(s, sel, q.Plan), top: pick, query: q, times: within,
	}
	if err := steps.readBuckets(ctx); err != nil {
		return BucketPage{}, err
	}
	buckets := pick.sortedItems()
	if len(buckets) <= q.Limit {
		return BucketPage{Buckets: buckets}, nil
	}
	buckets = buckets[:q.Limit]
	next := cursor{after: buckets[q.Limit-1].Place(), times: within, digest: sel.filterDigest(q)}
	return BucketPage{Buckets: buckets, Next: next.encodeCursor()}, nil
}

// bucketScan reads buckets until the page is full.
type bucketScan struct {
	scan
	top   *topN[Bucket]
	query Query
	times timeRange // of record times
}

const (
	maxGroup       = 1 << 20 // buckets of one group
	maxHosts       = 64      // hosts of one group of one bucket
	maxGroupSlots  = 1 << 14 // buckets of one group times its hosts, to bound memory
	windowsPerRead = 8       // windows of a host whose records are in memory at a time, of all GPUs and metrics
)

// windowsAtOnce returns how many windows of a host are read together: more of one GPU or of a few metrics, as each read passes over
// the objects of the archive.
func (p *hostPart) windowsAtOnce(sel *selection) int {
	n := windowsPerRead
	if len(p.names) > 0 {
		n *= 4
	}
	if len(sel.metrics) > 0 {
		n *= 4
	}
	return n
}

// readBuckets walks the buckets from the wanted end, a group at a time, of a size estimated from the yield so far.
func (s *bucketScan) readBuckets(ctx context.Context) error {
	var group []int64
	size, seen := 1, 0
	for slot := range s.openSlots() {
		if group = append(group, slot); len(group) < size {
			continue
		}
		if err := s.readGroup(ctx, group); err != nil {
			return err
		}
		kept, missing := s.top.roomLeft()
		if missing == 0 {
			return nil
		}
		seen += len(group)
		group = group[:0]
		size = min(max(missing*seen/max(kept, 1), 1), maxGroup, max(maxGroupSlots/len(s.sel.hosts), 1))
	}
	return s.readGroup(ctx, group)
}

// openSlots yields the buckets in which at least one host may have records, from the wanted end.
func (s *bucketScan) openSlots() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		open := s.top.openRange()
		times := timeRange{from: max(s.times.from, open.from), to: min(s.times.to, slotEnd(slotOf(open.to, s.query.Step), s.query.Step))}
		next, begun := int64(0), false
		for w := range windowsIn(s.sel.hosts, times, s.top.oldest) {
			first := slotOf(max(w.Start(), times.from), s.query.Step)
			last := slotOf(min(slotEnd(int64(w), projections.WindowSpan), times.to), s.query.Step)
			if !begun {
				next, begun = last, true
				if s.top.oldest {
					next = first
				}
			}
			if s.top.oldest {
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

// readGroup reads buckets of all hosts, or one bucket of hosts in the wanted order until the page is full.
func (s *bucketScan) readGroup(ctx context.Context, slots []int64) error {
	if len(slots) == 0 {
		return nil
	}
	lo, hi := slices.Min(slots), slices.Max(slots)
	times := timeRange{from: max(s.times.from, slotStart(lo, s.query.Step)), to: min(s.times.to, slotEnd(hi, s.query.Step))}
	hosts := slices.Clone(s.sel.hosts)
	if !s.top.oldest {
		slices.Reverse(hosts)
	}
	if len(slots) > 1 {
		return s.readHosts(ctx, hosts, times)
	}
	for some := range slices.Chunk(hosts, maxHosts) {
		if err := s.readHosts(ctx, some, times); err != nil {
			return err
		}
		if _, missing := s.top.roomLeft(); missing == 0 {
			return nil
		}
	}
	return nil
}

// readHosts reads a range of times of hosts and adds their buckets.
func (s *bucketScan) readHosts(ctx context.Context, hosts []*live.Host, times timeRange) error {
	unbounded := func(*live.Host) *hostPoints { return new(hostPoints) }
	return s.sumHosts(ctx, hosts, times, s.query, unbounded, func(host *live.Host, sums *bucketSums) error {
		sums.eachEntity(&host.Host, s.top.oldest, s.top.addItems)
		return nil
	})
}

// sumHosts adds up the records of hosts in a range of times, several hosts at a time. It calls done with the sums of each, which may be
// empty, unless no host has records in the range. The sums of a host are counted in the points that countHost returns for it;
// sumHosts ends with the first error of these or of done.
func (s *scan) sumHosts(ctx context.Context, hosts []*live.Host, times timeRange, q Query,
	countHost func(*live.Host) *hostPoints, done func(*live.Host, *bucketSums) error) error {
	windows := slices.Collect(windowsIn(hosts, times, true))
	if len(windows) == 0 {
		return nil
	}
	src, err := s.locate(ctx, hosts, windows[0], windows[len(windows)-1], false)
	if err != nil {
		return err
	}
	s.plan.Hosts.Add(int64(len(hosts)))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(maxReaders)
	for _, host := range hosts {
		work.Go(func() error {
			var sums *bucketSums
			points := countHost(host)
			err := src.retry(ctx, host, func(src *source) error {
				points.reset()
				sums = newSums(q.Step, times, q.Aggregates)
				sums.label, sums.points = s.label, points
				return src.sumHost(ctx, newHostPart(s.sel, host, windows), q, sums)
			})
			if err != nil {
				return err
			}
			return done(host, sums)
		})
	}
	return work.Wait()
}

// sumHost adds the records of a part's windows to sums, from the archive's sums where they are equivalent.
func (src *source) sumHost(ctx context.Context, p *hostPart, q Query, sums *bucketSums) error {
	windows := p.windows
	if rollup := newRollup(q, sums.times); rollup != nil && src.cold != nil && src.label == "" && !src.state.Scope().ByNamespace() {
		var err error
		if windows, err = rollup.readSums(ctx, src, p, sums); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(windows, p.windowsAtOnce(src.sel)) {
		part := p.inWindows(some)
		if err := src.loadPart(ctx, part); err != nil {
			return err
		}
		if err := sums.addPart(part, src.sel); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
