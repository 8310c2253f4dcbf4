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

// await looks on, and tells how far it is, until a generation is in a state or behind it.
func (r *rebuild) await(ctx context.Context, g projections.Generation, state snapshot.State) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer r.out.close()
	look := newLook(time.Now())
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
			return r.last(ctx, g, state, look)
		}
		offsets, err := r.store.Offsets(ctx, g)
		if err != nil {
			return err
		}
		beside, err := r.store.Offsets(ctx, all.Active)
		if err != nil {
			return err
		}
		look.see(time.Now(), offsets, recordsOf(beside), info.Revision, r.partitions)
		r.out.progress("%s", look)
		if look.stalled(time.Now()) {
			r.out.tell("nothing was folded for %s: is a collectd of model version %d running?", stallTime, r.version)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// last tells what became of it.
func (r *rebuild) last(ctx context.Context, g projections.Generation, state snapshot.State, l *look) error {
	if state == snapshot.Active {
		r.out.tell("generation %s is active", g)
		return nil
	}
	offsets, err := r.store.Offsets(ctx, g)
	if err != nil {
		return err
	}
	took := time.Since(l.began)
	r.out.tell("all %d partitions are folded: %s records, looked at for %s", r.partitions, humanize.Comma(recordsOf(offsets)), took.Round(time.Millisecond))
	return nil
}

// awaitRemovals waits until no retired generation is left.
func (r *rebuild) awaitRemovals(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer r.out.close()
	for {
		all, err := r.store.Generations(ctx)
		if err != nil {
			return err
		}
		left, keys := 0, 0
		for g, info := range all.All {
			if info.State == snapshot.Retired {
				n, err := r.store.Keys(ctx, g)
				if err != nil {
					return err
				}
				left, keys = left+1, keys+n
			}
		}
		if left == 0 {
			r.out.tell("the old generation is removed")
			return nil
		}
		r.out.progress("the old generation is removed by a collector once query servers had time to turn: %s keys are left", humanize.Comma(int64(keys)))
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

// look is how far a generation is, and how fast it gets on.
type look struct {
	began, at, moved time.Time
	records          int64   // now
	expected         int64   // about how many there are in all; 0: not known
	rate             float64 // records/s, lately
	share            float64 // of the way
	firstShare       float64
	done, partitions int
	seen             bool
}

func newLook(now time.Time) *look { return &look{began: now, at: now, moved: now} }

// see takes in the offsets of the generation; expected is how many records the active one has folded, and goal what
// every partition is to reach.
func (l *look) see(now time.Time, offsets map[events.Partition]projections.Offsets, expected, goal int64, partitions int) {
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
	if !l.seen {
		l.firstShare, l.records = way, records
	}
	if span := now.Sub(l.at).Seconds(); l.seen && span > 0 {
		lately := float64(records-l.records) / span
		if l.rate == 0 {
			l.rate = lately
		}
		l.rate += (lately - l.rate) / 4
	}
	if records > l.records || done > l.done {
		l.moved = now
	}
	l.seen, l.at, l.records, l.expected, l.share, l.done, l.partitions = true, now, records, expected, way, done, partitions
}

// stalled tells, once in a while, that nothing gets on.
func (l *look) stalled(now time.Time) bool {
	if now.Sub(l.moved) < stallTime {
		return false
	}
	l.moved = now
	return true
}

// left estimates how long it will take; false: nothing is known of that.
func (l *look) left() (time.Duration, bool) {
	gone, way := l.at.Sub(l.began), l.share-l.firstShare
	if way <= 0 || l.share >= 1 || gone <= 0 {
		return 0, false
	}
	return time.Duration(float64(gone) / way * (1 - l.share)), true
}

func (l *look) String() string {
	of := ""
	if l.expected > 0 {
		of = " of about " + humanize.Comma(l.expected)
	}
	text := fmt.Sprintf("%s%s records, %s records/s, %.0f %%, %d of %d partitions", humanize.Comma(l.records), of,
		humanize.Comma(int64(l.rate)), 100*l.share, l.done, l.partitions)
	if left, known := l.left(); known {
		text += ", about " + left.Round(time.Second).String() + " left"
	}
	return text
}
