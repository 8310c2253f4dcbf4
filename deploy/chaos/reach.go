package main

import (
	"context"
	"log/slog"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

// openLog opens the log past the proxies.
func (c *cluster) openLog(ctx context.Context) (*events.Log, error) {
	return events.Open(ctx, c.config(), slog.New(slog.DiscardHandler))
}

func (c *cluster) config() events.Config {
	cfg := events.Config{Endpoints: strings.Join(c.clients, ","), Partitions: partitions}
	cfg.Root, cfg.ClusterID = events.DefaultRoot, events.DefaultClusterID
	return cfg
}

// store opens the stored projections past the proxies.
func (c *cluster) store(log *events.Log) *snapshot.Store {
	return snapshot.New(c.client, c.config(), log.Facts(), nil)
}
