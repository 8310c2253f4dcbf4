package rebuild

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// awaitState reports progress until a generation is in a state or behind it.
func (r *rebuild) awaitState(ctx context.Context, g projections.Generation, state snapshot.State) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	defer r.out.endLine()
	p := newProgress(time.Now())
	for {
		all, err := r.store.Generations(ctx)
		if err != nil {
			return err
		}
		info, there := all.All[g]
		switch {
		case !there || info.State == snapshot.Retired:
			return fmt.Errorf("generation %s: %w", g, errGivenUp)
		case info.State == state || info.State == snapshot.Active:
			return r.reportEnd(ctx, g, state, p)
		}
		offsets, err := r.store.Offsets(ctx, g)
		if err != nil {
			return err
		}
		beside, err := r.store.Offsets(ctx, all.Active)
		if err != nil {
			return err
		}
		p.update(time.Now(), offsets, recordsOf(beside), info.Revision, r.partitions)
		r.out.printProgress("%s", p)
		if p.isStalled(time.Now()) {
			r.out.printf("nothing was folded for %s: is a collectd of model version %d running?", stallTime, r.version)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// reportEnd reports the end of a wait.
func (r *rebuild) reportEnd(ctx context.Context, g projections.Generation, state snapshot.State, p *progress) error {
	if state == snapshot.Active {
		r.out.printf("generation %s is active", g)
		return nil
	}
	offsets, err := r.store.Offsets(ctx, g)
	if err != nil {
		return err
	}
	took := time.Since(p.startedAt)
	r.out.printf("all %d partitions are folded: %s records, looked at for %s", r.partitions, humanize.Comma(recordsOf(offsets)), took.Round(time.Millisecond))
	return nil
}

// awaitRemovals waits until no retired generation of this model version is left. Generations of another version stay for longer,
// since query servers of that version cannot go over.
func (r *rebuild) awaitRemovals(ctx context.Context) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	defer r.out.endLine()
	for {
		all, err := r.store.Generations(ctx)
		if err != nil {
			return err
		}
		left, keys, foreign := 0, 0, false
		for g, info := range all.All {
			switch {
			case info.State != snapshot.Retired:
			case info.ModelVersion != r.version:
				foreign = true
			default:
				n, err := r.store.Keys(ctx, g)
				if err != nil {
					return err
				}
				left, keys = left+1, keys+n
			}
		}
		switch {
		case left == 0 && foreign:
			r.out.printf("a generation of another model version is removed later, when query servers of that version have been exchanged")
			return nil
		case left == 0:
			r.out.printf("the old generation is removed")
			return nil
		}
		r.out.printProgress("the old generation is removed by a collector once query servers had time to turn: %s keys are left", humanize.Comma(int64(keys)))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func recordsOf(offsets map[events.Partition]projections.Offsets) (n int64) {
	for _, o := range offsets {
		n += o.Records
	}
	return n
}

// progress is a generation's progress and its rate.
type progress struct {
	startedAt, updatedAt, advancedAt time.Time
	records                          int64   // now
	expected                         int64   // about the total; 0: not known
	rate                             float64 // records/s, recently
	share                            float64 // of the whole
	firstShare                       float64
	done, partitions                 int
	seen                             bool
}

func newProgress(now time.Time) *progress {
	return &progress{startedAt: now, updatedAt: now, advancedAt: now}
}

// update applies the offsets of the generation. expected is the number of records that the active one has folded, and
// goal the revision that every partition is to reach.
func (p *progress) update(now time.Time, offsets map[events.Partition]projections.Offsets, expected, goal int64, partitions int) {
	records, done, way := recordsOf(offsets), 0, 0.0
	for _, o := range offsets {
		at := min(o.Live.Number, o.Series.Number)
		if at >= goal {
			done++
		}
		way += float64(min(at, goal)) / float64(goal) / float64(partitions)
	}
	if expected > 0 {
		way = min(1, float64(records)/float64(expected))
	}
	if !p.seen {
		p.firstShare, p.records = way, records
	}
	if span := now.Sub(p.updatedAt).Seconds(); p.seen && span > 0 {
		lately := float64(records-p.records) / span
		if p.rate == 0 {
			p.rate = lately
		}
		p.rate += (lately - p.rate) / 4
	}
	if records > p.records || done > p.done {
		p.advancedAt = now
	}
	p.seen, p.updatedAt, p.records, p.expected, p.share, p.done, p.partitions = true, now, records, expected, way, done, partitions
}

// isStalled reports, once per stallTime, that nothing advances.
func (p *progress) isStalled(now time.Time) bool {
	if now.Sub(p.advancedAt) < stallTime {
		return false
	}
	p.advancedAt = now
	return true
}

// remaining estimates the remaining time, and returns false when it is unknown.
func (p *progress) remaining() (time.Duration, bool) {
	gone, way := p.updatedAt.Sub(p.startedAt), p.share-p.firstShare
	if way <= 0 || p.share >= 1 || gone <= 0 {
		return 0, false
	}
	return time.Duration(float64(gone) / way * (1 - p.share)), true
}

func (p *progress) String() string {
	of := ""
	if p.expected > 0 {
		of = " of about " + humanize.Comma(p.expected)
	}
	text := fmt.Sprintf("%s%s records, %s records/s, %.0f %%, %d of %d partitions", humanize.Comma(p.records), of,
		humanize.Comma(int64(p.rate)), 100*p.share, p.done, p.partitions)
	if left, known := p.remaining(); known {
		text += ", about " + left.Round(time.Second).String() + " left"
	}
	return text
}
