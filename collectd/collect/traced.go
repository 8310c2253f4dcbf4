package collect

import (
	"context"
	"log/slog"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/projections/snapshot"
)

// maxTraced bounds the hosts and traces that tracedFolds notes.
const maxTraced = 1024

// tracedFold is a host into whose models an event of a sampled trace was folded.
type tracedFold struct {
	host events.HostID
	from events.TraceContext
}

// tracedFolds are the folds of sampled traces that are not stored yet.
type tracedFolds struct {
	isOn  func() bool              // nil: no trace is noted
	folds map[tracedFold]time.Time // when the first event of each was folded
}

// noteFold notes the trace of an event that was folded into the models of its host. Most events have none.
func (t *tracedFolds) noteFold(ev *events.Event, now time.Time) {
	if ev.Trace.IsZero() || t.isOn == nil || !t.isOn() || len(t.folds) >= maxTraced {
		return
	}
	if t.folds == nil {
		t.folds = map[tracedFold]time.Time{}
	}
	fold := tracedFold{ev.Host, ev.Trace}
	if _, noted := t.folds[fold]; !noted {
		t.folds[fold] = now
	}
}

// tracedCommit is the traces that led to a commit, and when the first of their events was folded.
type tracedCommit struct {
	causes []events.TraceContext
	began  time.Time
}

// takeStored removes and returns the folds into the models that a commit stores: of all hosts but those in left.
func (t *tracedFolds) takeStored(left map[events.HostID]*hostState) (c tracedCommit) {
	if len(t.folds) == 0 {
		return c
	}
	seen := map[events.TraceContext]bool{}
	for fold, at := range t.folds {
		if left[fold.host] != nil {
			continue
		}
		delete(t.folds, fold)
		if c.began.IsZero() || at.Before(c.began) {
			c.began = at
		}
		if !seen[fold.from] {
			seen[fold.from] = true
			c.causes = append(c.causes, fold.from)
		}
	}
	return c
}

// isTraced reports whether folds are traced: of the generation that is served, since a rebuild folds events of traces long ended.
func (f *follower) isTraced() bool { return f.cfg.Tracer != nil && f.run.isActive() }

// takeTraced returns the traces that led to the commit that takeDue returned last.
func (s *state) takeTraced() tracedCommit {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.tracedCommit
	s.tracedCommit = tracedCommit{}
	return taken
}

// startFold starts the trace of a commit. It links to the traces of the events that the commit stores; without any there is none.
func (f *follower) startFold(ctx context.Context, c *snapshot.Commit) (context.Context, trace.Span) {
	led := f.state.takeTraced()
	ctx, span := f.cfg.Tracer.StartLinked(ctx, "fold", led.began, led.causes)
	span.SetCount("telemetry.partition", int(f.partition))
	span.SetCount("telemetry.hosts", len(c.Live))
	span.SetCount("telemetry.chunks", len(c.Chunks))
	return ctx, span
}

// logCommit writes the line of a commit.
func (f *follower) logCommit(ctx context.Context, c *snapshot.Commit, took time.Duration) {
	f.lg.LogAttrs(ctx, slog.LevelDebug, "committed", slog.Int("hosts", len(c.Live)), slog.Int("chunks", len(c.Chunks)),
		slog.String("upload", string(c.Upload)), slog.Duration("took", took))
}
