package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/follow"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections/snapshot"
)

// loadQuarantine loads the partition's stored entries.
func (f *follower) loadQuarantine(ctx context.Context) error {
	f.outdated = false
	for q, err := range f.store.Quarantined(ctx, f.gen, f.partition) {
		if err != nil {
			return fmt.Errorf("loading partition %d: %w", f.partition, err)
		}
		f.state.quarantine.addEntry(&q)
		f.outdated = f.outdated || q.TriedVersion < f.version
	}
	f.countEntries()
	return nil
}

// countEntries updates the metrics of entries. A generation that is not active counts as having none: its entries
// concern no user yet.
func (f *follower) countEntries() {
	var n quarantineSize
	if f.run.isActive() {
		n = f.state.quarantineSize()
	}
	f.setCounted(n)
}

// uncountEntries removes the partition from the metrics of entries.
func (f *follower) uncountEntries() { f.setCounted(quarantineSize{}) }

func (f *follower) setCounted(n quarantineSize) {
	f.metrics.entries.Add(float64(n.entries - f.counted.entries))
	f.metrics.held.Add(float64(n.events - f.counted.events))
	f.metrics.heldRecords.Add(float64(n.records - f.counted.records))
	f.quarantined.events.Add(int64(n.events - f.counted.events))
	f.quarantined.records.Add(int64(n.records - f.counted.records))
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

// retryPage is the number of entries whose archived events are read together.
const retryPage = 64

// retryEntries retries the wanted entries, and all summaries if one of them is wanted.
func (f *follower) retryEntries(ctx context.Context, wanted func(*snapshot.Quarantined) bool) error {
	summaries := false
	var page []snapshot.Quarantined
	for q, err := range f.store.Quarantined(ctx, f.gen, f.partition) {
		switch {
		case err != nil:
			return err
		case !wanted(&q):
		case q.ID.IsSummary():
			summaries = true
		default:
			page = append(page, q)
		}
		if len(page) == retryPage {
			if err := f.retryPage(ctx, page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	if err := f.retryPage(ctx, page); err != nil || !summaries {
		return err
	}
	return f.retrySummaries(ctx)
}

// retryPage retries entries, first those whose events are in etcd, then the others from the archive. Their revisions
// ascend.
func (f *follower) retryPage(ctx context.Context, page []snapshot.Quarantined) error {
	left := map[snapshot.EntryID]snapshot.Quarantined{}
	var revisions []int64
	for _, q := range page {
		ev, err := f.eventInLog(ctx, &q)
		switch {
		case err != nil:
			return fmt.Errorf("reading quarantined event %s: %w", q.Key, err)
		case ev == nil:
			left[q.ID], revisions = q, append(revisions, q.ID.Revision)
			continue
		}
		if err := f.retryEvent(ctx, q, ev); err != nil {
			return err
		}
	}
	if f.archive != nil && len(revisions) > 0 {
		if err := f.retryArchived(ctx, left, slices.Compact(revisions)); err != nil {
			return err
		}
	}
	for _, q := range page {
		if _, still := left[q.ID]; still {
			f.refuseRetry(q, missingFailure(&q))
		}
	}
	return nil
}

// retryArchived retries the entries in left whose events the archive has, and removes them from left.
func (f *follower) retryArchived(ctx context.Context, left map[snapshot.EntryID]snapshot.Quarantined, revisions []int64) error {
	for ev, err := range f.archive.ReadAt(ctx, f.partition, revisions) {
		if isLostObject(err) {
			return f.retryBesideLost(ctx, left, revisions, err)
		}
		if err != nil {
			return fmt.Errorf("reading quarantined events from the archive: %w", err)
		}
		id := snapshot.EntryIDOf(ev.Key, ev.Revision)
		q, wanted := left[id]
		if !wanted {
			continue
		}
		delete(left, id)
		if err := f.retryEvent(ctx, q, &ev); err != nil {
			return err
		}
	}
	return nil
}

// isLostObject reports whether an object of the archive is gone or damaged, which waiting does not mend.
func isLostObject(err error) bool {
	_, damaged := errors.AsType[*archive.DamagedError](err)
	return damaged || errors.Is(err, archive.ErrMissing)
}

// retryBesideLost is retryArchived after an object was found to be lost: it reads each event by itself, so that events
// of other objects are retried.
func (f *follower) retryBesideLost(ctx context.Context, left map[snapshot.EntryID]snapshot.Quarantined, revisions []int64, lost error) error {
	for id, q := range left {
		switch {
		case len(revisions) > 1:
			if err := f.retryArchived(ctx, left, []int64{id.Revision}); err != nil {
				return err
			}
		case id.Revision == revisions[0]:
			delete(left, id)
			f.refuseRetry(q, &failure{reason: missing, text: "the archive has lost it: " + lost.Error()})
		}
	}
	return nil
}

// retryEvent folds a quarantined event, like a late one. Parts of it that were folded before, or are folded meanwhile,
// make no difference: models are sets.
func (f *follower) retryEvent(ctx context.Context, q snapshot.Quarantined, ev *events.Event) error {
	failed, err := f.foldAgain(ctx, ev)
	switch {
	case err != nil:
		return fmt.Errorf("folding quarantined event %s: %w", q.Key, err)
	case failed == nil:
		f.lg.Info("quarantined event is folded", "key", q.Key, "revision", q.Revision, "reason", q.Reason)
		f.state.resolveEntry(q.ID, ev.Host)
		return nil
	}
	q.Records, q.Partial = failed.recordsOf(ev), failed.partial
	f.updateTried(&q, failed)
	if failed.partial {
		f.state.replaceEntry(q, ev.Host)
	} else {
		f.state.quarantineEvent(q, true)
	}
	return nil
}

// foldAgain folds an event that the stored offset has passed. Its entry stays until the fold is stored, so no offset
// has to wait for it.
func (f *follower) foldAgain(ctx context.Context, ev *events.Event) (*failure, error) {
	if ev.Damage == nil && ev.Records() == 0 { // a merge of the archive has found all its records in earlier events
		return nil, nil
	}
	if err := f.state.awaitRoom(ctx); err != nil {
		return nil, err
	}
	return f.foldEvent(ctx, ev, f.state.foldedRevision().Number+1)
}

// refuseRetry rewrites the entry of an event that failed again.
func (f *follower) refuseRetry(q snapshot.Quarantined, failed *failure) {
	f.updateTried(&q, failed)
	f.state.quarantineEvent(q, true)
}

// updateTried enters another failed attempt into an entry, and reports it.
func (f *follower) updateTried(q *snapshot.Quarantined, failed *failure) {
	q.Reason, q.Text, q.TriedAt, q.TriedVersion = failed.reason, failed.text, time.Now(), f.version
	q.Attempts++
	f.reportFailure(q, failed)
}

// retrySummaries folds all events between the first and the last of the partition's summaries again, except those that
// have entries of their own.
func (f *follower) retrySummaries(ctx context.Context) error {
	after, upto, some := f.state.beginSummaryRetry(f.version)
	if !some {
		return nil
	}
	for ev, err := range f.log.Read(ctx, f.partition, after, upto) {
		if err == nil && !f.state.hasEntry(snapshot.EntryIDOf(ev.Key, ev.Revision)) {
			err = f.retrySummarised(ctx, &ev)
		}
		if err != nil {
			f.state.abandonSummaryRetry()
			return fmt.Errorf("retrying the events of summaries: %w", err)
		}
	}
	f.state.finishSummaryRetry()
	return nil
}

func (f *follower) retrySummarised(ctx context.Context, ev *events.Event) error {
	failed, err := f.foldAgain(ctx, ev)
	switch {
	case err != nil:
		return err
	case failed == nil:
		f.state.addRetried(ev.Host, nil)
		return nil
	}
	entry := entryOf(ev, failed, f.version)
	f.reportFailure(&entry, failed)
	f.state.addRetried(ev.Host, &entry)
	return nil
}

// eventInLog returns the event of an entry, or nil when it has left etcd. The entry's revision may have been written
// before etcd was restored, when the log had another epoch.
func (f *follower) eventInLog(ctx context.Context, q *snapshot.Quarantined) (*events.Event, error) {
	at := f.state.foldedRevision()
	at.Number = q.ID.Revision
	before := at
	before.Number--
	for ev, err := range f.etcdLog.Read(ctx, f.partition, before, at) {
		if err != nil {
			return nil, err
		}
		if snapshot.EntryIDOf(ev.Key, ev.Revision) == q.ID {
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
	return &failure{reason: missing, text: "neither the log nor the archive has it any more at that revision; before that it was " + q.Reason + ": " + q.Text}
}

// reportFailure logs and counts an event that could not be folded.
func (f *follower) reportFailure(q *snapshot.Quarantined, failed *failure) {
	f.metrics.quarantined.WithLabelValues(failed.reason).Inc()
	attributes := []any{"key", q.Key, "revision", q.Revision, "reason", failed.reason, "attempts", q.Attempts, "upload", q.Upload, "err", failed.text}
	if failed.stack != nil {
		attributes = append(attributes, "stack", string(failed.stack))
	}
	f.lg.Error("event cannot be folded; it is in the quarantine", attributes...)
}
