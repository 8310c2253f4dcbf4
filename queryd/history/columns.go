package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// Series is the readings of one metric of one entity on one host, ascending in time, or their sums by steps.
type Series struct {
	Host     events.HostID
	Entity   events.Entity
	Identity events.Identity // as of a Bucket
	Metric   string

	Samples events.Samples     // without a step
	Starts  []events.Timestamp // with a step: where each of Sums begins
	Sums    []Summary          // without Metric
}

// Points returns the number of readings or sums.
func (s *Series) Points() int { return len(s.Samples.Times) + len(s.Starts) }

// The bounds of the points in one answer of Columns.
const (
	DefaultPoints = 1_000_000
	MaxPoints     = 5_000_000
)

// ErrPoints refuses a query with too many points: of one host alone, or of all groups more than the limit.
var ErrPoints = fmt.Errorf("the range has more points than an answer may have, %d of one host alone or the limit of all groups: "+
	"ask for a shorter range, a longer step, fewer metrics or fewer GPUs, or for more points of groups with a limit of up to %d", MaxPoints, MaxPoints)

// columnHosts is the number of hosts that are read together.
const columnHosts = 16

// Columns answers q from the given view by series: it calls yield with the series of one host after the other, by host, entity and metric.
// q.Oldest is ignored, and q.Limit is the number of points after which the answer ends with the host under way, 1 to
// MaxPoints; the cursor then continues with the next host. Readings of one time that differ are all in a series, equal ones
// once; the one that counts is the last of them.
func (h *History) Columns(ctx context.Context, s *live.State, q Query, yield func([]Series) error) (Cursor, error) {
	if q.Limit < 1 || q.Limit > MaxPoints {
		return "", fmt.Errorf("asking for %d points: %w", q.Limit, ErrPointLimit)
	}
	if q.Step != 0 {
		if err := checkStep(q); err != nil {
			return "", err
		}
	}
	q.Oldest, q.columns = true, true
	sel := newSelection(s, q)
	times, after, err := pageRange(q, sel)
	if err != nil {
		return "", err
	}
	hosts := sel.hosts
	if after != nil {
		n, found := slices.BinarySearchFunc(hosts, after.Host, func(h *live.Host, id events.HostID) int { return cmp.Compare(h.ID, id) })
		if found {
			n++
		}
		hosts = hosts[n:]
	}
	c := columnScan{scan: h.newScan(s, sel, q.Plan), query: q, times: times}
	points, together, full := 0, columnHosts, Cursor("")
	for len(hosts) > 0 {
		some := hosts[:min(together, len(hosts))]
		all, err := c.readHosts(ctx, some)
		if errors.Is(err, ErrPoints) && len(some) > 1 {
			together = max(len(some)/4, 1)
			continue
		}
		if errors.Is(err, ErrPoints) && full != "" { // the next page has the error
			return full, nil
		}
		if err != nil {
			return "", err
		}
		for i, one := range all {
			if full != "" { // in a view by namespace
				if len(one) > 0 {
					return full, nil
				}
				continue
			}
			if err := yield(one); err != nil {
				return "", err
			}
			for j := range one {
				points += one[j].Points()
			}
			if rest := len(hosts) - i - 1; points >= q.Limit && rest > 0 {
				next := cursor{after: projections.Place{Host: some[i].ID}, times: times, digest: sel.filterDigest(q)}
				if full = next.encodeCursor(); !sel.scope.ByNamespace() {
					return full, nil
				} // whether there are other hosts is hidden, unless one has a visible record
			}
		}
		hosts = hosts[len(some):]
	}
	return "", nil
}

// columnScan reads series.
type columnScan struct {
	scan
	query Query
	times timeRange
}

// readHosts returns the series of each host.
func (c *columnScan) readHosts(ctx context.Context, hosts []*live.Host) ([][]Series, error) {
	place := make(map[events.HostID]int, len(hosts))
	for i, host := range hosts {
		place[host.ID] = i
	}
	all := make([][]Series, len(hosts)) // each host's by one goroutine
	if c.query.Step == 0 {
		return all, c.readReadings(ctx, hosts, func(host *live.Host, series []Series) { all[place[host.ID]] = series })
	}
	total := pointCount{most: c.mostPoints}
	countHost := func(*live.Host) *hostPoints { return &hostPoints{total: &total} }
	return all, c.sumHosts(ctx, hosts, c.times, c.query, countHost, func(host *live.Host, sums *bucketSums) error {
		all[place[host.ID]] = sums.columns(host)
		return nil
	})
}

// columns returns the sums by series.
func (s *bucketSums) columns(host *live.Host) []Series {
	keys := s.sortedKeys()
	all := make([]Series, 0, len(keys))
	var id events.Identity
	for i, key := range keys {
		one := s.series[key]
		if len(one.slots) == 0 {
			continue
		}
		if i == 0 || keys[i-1].entity != key.entity {
			id = stableIdentity(&host.Host, key.entity)
		}
		starts := make([]events.Timestamp, len(one.slots))
		for j, slot := range one.slots {
			starts[j] = slotStart(slot, s.step)
		}
		all = append(all, Series{Host: host.ID, Entity: key.entity, Identity: id, Metric: key.metric, Starts: starts, Sums: one.sums})
	}
	return all
}

// readReadings calls done with the readings of each host.
func (c *columnScan) readReadings(ctx context.Context, hosts []*live.Host, done func(*live.Host, []Series)) error {
	windows := slices.Collect(windowsIn(hosts, c.times, true))
	if len(windows) == 0 {
		return nil
	}
	src, err := c.locate(ctx, hosts, windows[0], windows[len(windows)-1], false)
	if err != nil {
		return err
	}
	c.plan.Hosts.Add(int64(len(hosts)))
	total := pointCount{most: c.mostPoints}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(maxReaders)
	for _, host := range hosts {
		work.Go(func() error {
			var found map[seriesKey]events.Samples
			points := hostPoints{total: &total}
			err := src.retry(ctx, host, func(src *source) (err error) {
				points.reset()
				found, err = c.readHost(ctx, src, newHostPart(c.sel, host, windows), &points)
				return err
			})
			if err == nil {
				done(host, seriesOf(host, found))
			}
			return err
		})
	}
	return work.Wait()
}

// readHost returns the readings of a part, some windows at a time.
func (c *columnScan) readHost(ctx context.Context, src *source, p *hostPart, points *hostPoints) (map[seriesKey]events.Samples, error) {
	found := make(map[seriesKey]events.Samples)
	for some := range slices.Chunk(p.windows, p.windowsAtOnce(src.sel)) {
		part := p.inWindows(some)
		if err := src.loadPart(ctx, part); err != nil {
			return found, err
		}
		for _, set := range part.windowSets() {
			for key, samples := range seriesIn(&set, src.sel, "") {
				lo, _ := slices.BinarySearch(samples.Times, c.times.from)
				hi := len(samples.Times)
				if c.times.to < maxTime {
					hi, _ = slices.BinarySearch(samples.Times, c.times.to+1)
				}
				if lo >= hi {
					continue
				}
				if hi-lo < samples.Len() {
					samples = samples.Slice(lo, hi)
					samples.Canonical()
				}
				whole := found[key]
				whole.Unite(samples)
				found[key] = whole
				if err := points.addPoints(hi - lo); err != nil {
					return found, err
				}
			}
		}
	}
	return found, nil
}

// seriesOf returns readings by entity and metric.
func seriesOf(host *live.Host, found map[seriesKey]events.Samples) []Series {
	all := make([]Series, 0, len(found))
	for key, samples := range found {
		all = append(all, Series{Host: host.ID, Entity: key.entity, Metric: key.metric, Samples: samples})
	}
	slices.SortFunc(all, func(a, b Series) int {
		return cmp.Or(a.Entity.Compare(b.Entity), strings.Compare(a.Metric, b.Metric))
	})
	for i := range all {
		if i > 0 && all[i-1].Entity == all[i].Entity {
			all[i].Identity = all[i-1].Identity
		} else {
			all[i].Identity = stableIdentity(&host.Host, all[i].Entity)
		}
	}
	return all
}
