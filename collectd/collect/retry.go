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

// loadQuarantine loads the IDs of the partition's stored entries.
func (f *follower) loadQuarantine(ctx context.Context) error {
	f.outdated = false
	for q, err := range f.store.Quarantined(ctx, f.gen, f.partition) {
		if err != nil {
			return fmt.Errorf("loading partition %d: %w", f.partition, err)
		}
		f.state.quarantine.addEntry(q.ID)
		f.outdated = f.outdated || q.TriedVersion < f.version
	}
	f.countEntries()
	return nil
}

// countEntries updates the metric of entries. A generation that is not active counts as having none: its entries
// concern no user yet.
func (f *follower) countEntries() {
	n := 0
	if f.run.isActive() {
		n = f.state.entryCount()
	}
	f.metrics.entries.Add(float64(n - f.counted))
	f.counted = n
}

// retryQuarantine folds quarantined events again: once all entries of an earlier version of the models, then the
// requested entries, until ctx ends. Folding continues beside it, and is not affected by its failures. Requests
// concern the active generation, so any other generation waits until it is active.
func (f *follower) retryQuarantine(ctx context.Context) {
	select {
	case <-f.run.active:
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
		Watch:         f.answerRetries,
		Pause:         wait.Backoff{Least: f.cfg.PollInterval, Most: time.Minute},
		IgnoreForeign: true, // the folding goroutine notices it, and ends the collector
		Failed: func(err error, again time.Duration) {
			f.lg.Warn("retrying quarantined events failed; trying again", "err", err, "again_in", again)
		},
	}
	_ = loop.Run(ctx) // only ctx ends it
}

// answerRetries retries the requested entries as requests arrive. A request counts as delivered once it is answered,
// so that pauses grow while the same ones fail.
func (f *follower) answerRetries(ctx context.Context, delivered func()) error {
	for requests, err := range f.store.WatchRetries(ctx, f.partition) {
		if err != nil {
			return err
		}
		if requests = f.state.unansweredRetries(requests); len(requests) == 0 {
			delivered()
			continue
		}
		all, asked := false, map[snapshot.EntryID]bool{}
		for _, m := range requests {
			all = all || m.All()
			asked[m.Entry] = true
		}
		err := f.retryEntries(ctx, func(q *snapshot.Quarantined) bool { return all || asked[q.ID] })
		if err != nil {
			return err
		}
		f.state.markAnswered(requests)
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

// retryEntry reads a quarantined event and folds it, like a late one. Parts of it that were folded before, or are
// folded meanwhile, make no difference: models are sets.
func (f *follower) retryEntry(ctx context.Context, q snapshot.Quarantined) error {
	if err := f.state.awaitRoom(ctx); err != nil {
		return err
	}
	ev, err := f.eventOf(ctx, &q)
	if err != nil {
		return fmt.Errorf("reading quarantined event %s: %w", q.Key, err)
	}
	failed := missingFailure(&q)
	if ev != nil {
		// The entry stays until the fold is stored, so no offset has to wait for it.
		if failed, err = f.foldEvent(ctx, ev, f.state.foldedRevision().Number+1); err != nil {
			return fmt.Errorf("folding quarantined event %s: %w", q.Key, err)
		}
	}
	if failed == nil {
		f.lg.Info("quarantined event is folded", "key", q.Key, "revision", q.Revision, "reason", q.Reason)
		f.state.resolveEntry(q.ID, ev.Host)
		return nil
	}
	q.Reason, q.Text, q.TriedAt, q.TriedVersion = failed.reason, failed.text, time.Now(), f.version
	q.Attempts++
	f.reportFailure(&q, failed)
	f.state.quarantineEvent(q, true)
	return nil
}

// eventOf returns the event of an entry, or nil when neither the log nor the archive has it any more. As long as it
// is in the quarantine of the active generation it stays in the log.
func (f *follower) eventOf(ctx context.Context, q *snapshot.Quarantined) (*events.Event, error) {
	ev, err := f.eventFrom(ctx, f.etcdLog, q)
	if ev != nil || err != nil {
		return ev, err
	}
	return f.eventFrom(ctx, f.log, q)
}

func (f *follower) eventFrom(ctx context.Context, from eventReader, q *snapshot.Quarantined) (*events.Event, error) {
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

// missingFailure returns the failure of an event that is no longer in the log. It keeps the reason of the quarantine.
func missingFailure(q *snapshot.Quarantined) *failure {
	if q.Reason == missing {
		return &failure{reason: missing, text: q.Text}
	}
	return &failure{reason: missing, text: "the log does not have it any more at that revision; before that it was " + q.Reason + ": " + q.Text}
}

// reportFailure logs and counts an event that could not be folded.
func (f *follower) reportFailure(q *snapshot.Quarantined, failed *failure) {
	f.metrics.quarantined.WithLabelValues(failed.reason).Inc()
	attributes := []any{"key", q.Key, "revision", q.Revision, "reason", failed.reason, "attempts", q.Attempts, "upload", q.Upload, "err", failed.text}
	if failed.stack != nil {
		attributes = append(attributes, "stack", string(failed.stack))
	}
	f.lg.Error("event cannot be folded; it is in the quarantine and stays in the log", attributes...)
}
