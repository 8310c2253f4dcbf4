package live

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/projections"
)

// source is the stored projections (projections/snapshot.Store).
type source interface {
	Load(ctx context.Context, g projections.Generation) (projections.Batch, error)
	Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error]
	WatchActive(ctx context.Context) iter.Seq2[projections.ActiveGeneration, error]
}

// Hub owns the watch, the feed of everything, and the feeds of narrower scopes (In). Only the goroutine of Run folds changes.
type Hub struct {
	*Feed
	src source
	log unreader
	lg  *slog.Logger

	failures map[string]error // present errors by activity; guarded by Feed.mu
	served   servedFeeds
}

// New returns a hub; Run starts it. log and facts belong to the same log. Without a log, positions are the stored
// ones only, and stay behind where a partition has no events.
func New(cfg Config, src source, log unreader, facts events.Facts, lg *slog.Logger) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	h := &Hub{src: src, log: log, lg: lg, failures: map[string]error{}}
	first := newView(facts, "", access.Everything())
	h.Feed = newFeed(cfg, facts, first.state)
	h.checkRequested, h.degraded = wait.NewSignal(), h.describeFailures
	h.metrics = newMetrics(h)
	h.served = servedFeeds{whole: servedFeed{Feed: h.Feed, view: first}, parts: map[string]*servedFeed{}}
	return h, nil
}

// describeFailures returns the present errors of all activities, nil if there are none.
func (h *Hub) describeFailures() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []error
	for _, activity := range slices.Sorted(maps.Keys(h.failures)) {
		all = append(all, h.failures[activity])
	}
	return errors.Join(all...)
}
