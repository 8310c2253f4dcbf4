package main

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// openLog opens the log past the proxies.
func (c *cluster) openLog(ctx context.Context) (*eventlog.Log, error) {
	return eventlog.Open(ctx, c.config(), slog.New(slog.DiscardHandler))
}

// config returns the settings of a client of etcd that goes past the proxies, as root.
func (c *cluster) config() eventlog.Config {
	cfg := eventlog.Config{Partitions: partitions}
	cfg.Root, cfg.ClusterID = eventlog.DefaultRoot, eventlog.DefaultClusterID
	cfg.Endpoints, cfg.DialTimeout = c.secrets.scheme()+strings.Join(c.clients, ","+c.secrets.scheme()), 5*time.Second
	if c.secrets != nil {
		cfg.CAFile, cfg.CertFile, cfg.KeyFile = c.secrets.certFile(authorityName), c.secrets.certFile(rootUser), c.secrets.keyFile(rootUser)
	}
	return cfg
}

// store opens the stored projections past the proxies.
func (c *cluster) store(log *eventlog.Log) *snapshot.Store {
	return snapshot.New(c.client, c.config(), log.Facts(), nil)
}
