package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections/snapshot"
)

// loadQuarantine learns which entries the partition has.
func (f *follower) loadQuarantine(ctx context.Context) error {
	f.outdated = false
	for q, err := range f.store.Quarantined(ctx, f.gen, f.partition) {
		if err != nil {
			return fmt.Errorf("loading partition %d: %w", f.partition, err)
		}
		f.state.quarantine.learn(q.ID)
		f.outdated = f.outdated || q.TriedVersion < f.version
	}
	f.countEntries()
	return nil
}

// countEntries brings the metric up to date: entries of a generation that is not active are nobody's concern yet.
func (f *follower) countEntries() {
	n := 0
	if f.work.isActive() {
		n = f.state.entries()
	}
	f.metrics.entries.Add(float64(n - f.counted))
	f.counted = n
}

// retry folds quarantined events again: once those that an earlier version of the models could not, then
// those that somebody asks for, until ctx ends. Folding goes on beside it, and does not suffer when it fails. Who asks
// means the active generation, so another one waits until it is that.
func (f *follower) retry(ctx context.Context) {
	select {
	case <-f.work.active:
	case <-ctx.Done():
		return
	}
	if f.outdated {
		err := f.retryEntries(ctx, func(q *snapshot.Quarantined) bool { return q.TriedVersion < f.version })
		if err != nil && ctx.Err() == nil {
			f.lg.Warn("quarantined events of an earlier version are not retried", "err", err)
		}
	}
	loop := follow.Loop{
		Watch:         f.answerMarks,
		Pause:         wait.Backoff{Least: f.cfg.PollInterval, Most: time.Minute},
		IgnoreForeign: true, // the folding goroutine finds that out, and ends the collector
		Failed: func(err error, again time.Duration) {
			f.lg.Warn("retrying quarantined events failed; asked again they are tried again", "err", err, "again_in", again)
		},
	}
	_ = loop.Run(ctx) // nothing ends it but ctx
}

// answerMarks retries what marks ask for, as they come. Marks count as delivered once they are answered, so that pauses
// grow while the same ones fail.
func (f *follower) answerMarks(ctx context.Context, delivered func()) error {
	for marks, err := range f.store.WatchRetries(ctx, f.partition) {
		if err != nil {
			return err
		}
		if marks = f.state.unanswered(marks); len(marks) == 0 {
			delivered()
			continue
		}
		all, asked := false, map[snapshot.EntryID]bool{}
		for _, m := range marks {
			all = all || m.All()
			asked[m.Entry] = true
		}
		err := f.retryEntries(ctx, func(q *snapshot.Quarantined) bool { return all || asked[q.ID] })
		if err != nil {
			return err
		}
		f.state.answered(marks)
		delivered()
	}
	return nil
}

func (f *follower) retryEntries(ctx context.Context, wanted func(*snapshot.Quarantined) bool) error {
	for q, err := range f.store.Quarantined(ctx, f.gen, f.partition) {
		if err != nil {
			return err
		}
		if !wanted(&q) {
			continue
		}
		if err := f.retryEntry(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// retryEntry reads a quarantined event and folds it, like one that is late. What was folded of it before, or
// is meanwhile, makes no difference: models are sets.
func (f *follower) retryEntry(ctx context.Context, q snapshot.Quarantined) error {
	if err := f.state.awaitRoom(ctx); err != nil {
		return err
	}
	ev, err := f.eventOf(ctx, &q)
	if err != nil {
		return fmt.Errorf("reading quarantined event %s: %w", q.Key, err)
	}
	failed := gone(&q)
	if ev != nil {
		// Its entry stands for it until the fold is stored, so no offset has to wait for that.
		if failed, err = f.foldOne(ctx, ev, f.state.position().Number+1); err != nil {
			return fmt.Errorf("folding quarantined event %s: %w", q.Key, err)
		}
	}
	if failed == nil {
		f.lg.Info("quarantined event is folded", "key", q.Key, "revision", q.Revision, "reason", q.Reason)
		f.state.settle(q.ID, ev.Host)
		return nil
	}
	q.Reason, q.Text, q.TriedAt, q.TriedVersion = failed.reason, failed.text, time.Now(), f.version
	q.Attempts++
	f.report(&q, failed)
	f.state.quarantined(q, true)
	return nil
}

// eventOf reads the event of an entry, nil when neither log nor archive have it any more. As long as it is in the
// quarantine of the active generation it stays in the log.
func (f *follower) eventOf(ctx context.Context, q *snapshot.Quarantined) (*events.Event, error) {
	ev, err := f.eventFrom(ctx, f.present, q)
	if ev != nil || err != nil {
		return ev, err
	}
	return f.eventFrom(ctx, f.log, q)
}

func (f *follower) eventFrom(ctx context.Context, from log, q *snapshot.Quarantined) (*events.Event, error) {
	before := q.Revision
	before.Number--
	for ev, err := range from.Read(ctx, f.partition, before, q.Revision) {
		switch {
		case errors.Is(err, events.ErrForeign):
			return nil, nil
		case err != nil:
			return nil, err
		case snapshot.EntryIDOf(ev.Key, ev.Revision) == q.ID:
			return &ev, nil
		}
	}
	return nil, nil
}

// gone is the failure of an event that the log does not have any more. Why it was quarantined stays known.
func gone(q *snapshot.Quarantined) *failure {
	if q.Reason == missing {
		return &failure{reason: missing, text: q.Text}
	}
	return &failure{reason: missing, text: "the log does not have it any more at that revision; before that it was " + q.Reason + ": " + q.Text}
}

// report logs and counts an event that could not be folded.
func (f *follower) report(q *snapshot.Quarantined, failed *failure) {
	f.metrics.quarantined.WithLabelValues(failed.reason).Inc()
	attributes := []any{"key", q.Key, "revision", q.Revision, "reason", failed.reason, "attempts", q.Attempts, "upload", q.Upload, "err", failed.text}
	if failed.stack != nil {
		attributes = append(attributes, "stack", string(failed.stack))
	}
	f.lg.Error("event cannot be folded; it is in the quarantine and stays in the log", attributes...)
}
