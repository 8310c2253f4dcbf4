package collect

import (
	"errors"
	"log/slog"
	"strconv"

	"telemetry-pipeline/collectd/foreign"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// Open returns a collector on a log, with etcd clients of its own: leases are kept apart from bulk traffic, which
// would starve their keepalives. Close closes the clients after Run has returned; the log stays the caller's.
func Open(cfg Config, store eventlog.Config, log *eventlog.Log, lg *slog.Logger) (*Collector, error) {
	return openAs(cfg, store, log, snapshot.ModelVersion, lg)
}

// openAs opens a collector of the given version of the models.
func openAs(cfg Config, store eventlog.Config, log *eventlog.Log, version int, lg *slog.Logger) (*Collector, error) {
	leases, err := store.Dial(lg)
	if err != nil {
		return nil, err
	}
	writes, err := store.Dial(lg)
	if err != nil {
		return nil, errors.Join(err, leases.Close())
	}
	cfg.Sharing.ModelVersion = strconv.Itoa(version)
	owner, err := partition.New(leases, cfg.Sharing, store, log.Facts().Partitions, lg)
	if err != nil {
		return nil, errors.Join(err, writes.Close(), leases.Close())
	}
	saved := snapshot.New(writes, store, log.Facts(), lg)
	c := newCollector(cfg, log, saved, lg)
	reader := manifest.NewReader(log, cfg.Archive, manifest.New(writes, store, log.Facts()))
	c.log, c.archive = reader, reader
	c.keeper = retain.New(cfg.Retain, store, log, saved, cfg.Archive, writes, c.lg)
	c.foreign = foreign.New(log, c.cfg.PollInterval, c.lg)
	c.passed = log
	c.meter = newLogMeter(log, saved, log.Facts().Partitions)
	c.gens, c.merger, c.owner, c.writable, c.version = saved, saved, owner, saved.Writable, version
	c.registrations = append(c.registrations, owner.Metrics, saved.Metrics, c.keeper.Metrics, c.foreign.Metrics)
	c.closers = append(c.closers, writes.Close, leases.Close)
	return c, nil
}

// Close closes the clients that Open opened.
func (c *Collector) Close() error {
	var all error
	for _, end := range c.closers {
		all = errors.Join(all, end())
	}
	return all
}
