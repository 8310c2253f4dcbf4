package main

import (
	"context"
	"log/slog"
	"strings"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// openLog opens the log past the proxies.
func (c *cluster) openLog(ctx context.Context) (*eventlog.Log, error) {
	return eventlog.Open(ctx, c.config(), slog.New(slog.DiscardHandler))
}

func (c *cluster) config() eventlog.Config {
	cfg := eventlog.Config{Endpoints: strings.Join(c.clients, ","), Partitions: partitions}
	cfg.Root, cfg.ClusterID = eventlog.DefaultRoot, eventlog.DefaultClusterID
	return cfg
}

// store opens the stored projections past the proxies.
func (c *cluster) store(log *eventlog.Log) *snapshot.Store {
	return snapshot.New(c.client, c.config(), log.Facts(), nil)
}
