package retain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
)

// waiting is what is folded and not archived yet. It is learned by reading the events, and then estimated by how many
// records are folded; what is folded while it is learned may be missed, so that from time to time it is learned again.
type waiting struct {
	learnedAt time.Time // zero: it is to be learned
	records   int64
	counted   int64     // Folded.Records at which records was right
	since     time.Time // append of the first of them; zero: there are none
}

// at brings it up to date.
func (w *waiting) at(f Folded, now time.Time) {
	if grown := f.Records - w.counted; grown > 0 {
		w.records += grown
		if w.since.IsZero() {
			w.since = now
		}
	}
	w.counted = f.Records
}

// archive moves events into one object of the archive when enough of them wait, or they have waited for long enough.
// Fewer are enough when an upload is over or etcd is too full. It tells whether it did.
func (t *tenure) archive(ctx context.Context) (wrote bool, err error) {
	f, now := t.Folded(), time.Now()
	if f.Upto.Number <= t.part.Head.At.Number {
		return false, nil
	}
	t.waiting.at(f, now)
	if now.Sub(t.waiting.learnedAt) < t.cfg.ArchiveInterval && !t.due(ctx) {
		return false, nil
	}
	return t.archiveSome(ctx, f)
}

// due tells whether what waits is to be archived now.
func (t *tenure) due(ctx context.Context) bool {
	w := &t.waiting
	switch {
	case w.since.IsZero():
		return false
	case w.records >= int64(t.cfg.ArchiveRecords), time.Since(w.since) >= t.cfg.ArchiveInterval:
		return true
	}
	return w.records >= int64(t.cfg.ArchiveRecords)/8 && (t.quiet() || t.pressure.level(ctx) > 0)
}

// archiveSome reads what waits, and writes an object of it if that is due.
func (t *tenure) archiveSome(ctx context.Context, f Folded) (wrote bool, err error) {
	done, err := t.alone(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	g, err := t.gather(ctx, f.Upto)
	if err != nil {
		return false, err
	}
	t.waiting = waiting{learnedAt: time.Now(), records: g.records, counted: f.Records, since: g.first}
	if !t.due(ctx) {
		return false, nil
	}
	return true, t.write(ctx, &g)
}

// write stores gathered events and lists them.
func (t *tenure) write(ctx context.Context, g *gathered) error {
	began := time.Now()
	r := archive.Range{Partition: t.ID, After: t.part.Head.At, Upto: g.upto}
	e, err := t.store.Write(ctx, r, sequence(g.events))
	if err != nil {
		return err
	}
	if err := t.manifest.Add(ctx, &t.part, e, t.Guard()); err != nil {
		return err
	}
	t.waiting = waiting{}
	t.heads.set(e.Last.Number, time.Now())
	t.metrics.archived(&e, time.Since(began))
	t.metrics.show(&t.part)
	t.lg.Debug("archived", "upto", e.Last.Number, "events", e.Events, "records", e.Records, "bytes", e.Bytes(), "took", time.Since(began))
	return nil
}

// gathered is events of one range of revisions.
type gathered struct {
	events  []events.Event
	records int64
	upto    events.Revision // all events after the head of the archive up to here
	first   time.Time       // append of the first of them; now where it does not tell
}

// maxEvents bounds the events of one object when they are small, such as those of live streams.
const maxEvents = archive.MaxEvents / 16

var errFull = errors.New("enough for one object")

// gather reads the events after the archive's head and up to a position, as many as make an object: always whole
// revisions.
func (t *tenure) gather(ctx context.Context, upto events.Revision) (gathered, error) {
	g := gathered{upto: upto}
	err := t.gatherInto(ctx, &g)
	if err != nil && !errors.Is(err, errFull) {
		return gathered{}, fmt.Errorf("reading what is to be archived: %w", err)
	}
	return g, nil
}

func (t *tenure) gatherInto(ctx context.Context, g *gathered) error {
	for ev, err := range t.log.Read(ctx, t.ID, t.part.Head.At, g.upto) {
		if err != nil {
			return err
		}
		if n := len(g.events); n > 0 && g.events[n-1].Revision != ev.Revision && (g.records >= int64(t.cfg.ArchiveRecords) || n >= maxEvents) {
			g.upto = g.events[n-1].Revision
			return errFull
		}
		if len(g.events) == 0 {
			if g.first = ev.AppendedAt.Time(); ev.AppendedAt == 0 {
				g.first = time.Now()
			}
		}
		g.events, g.records = append(g.events, ev), g.records+int64(ev.Records())
	}
	return nil
}

func sequence(all []events.Event) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, ev := range all {
			if !yield(ev, nil) {
				return
			}
		}
	}
}
