// Collectd folds the event log into projections.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
)

func main() {
	var store events.Config
	var sharing partition.Config
	var folding collect.Config
	flags := func(fs *flag.FlagSet) {
		store.Flags(fs)
		sharing.Flags(fs)
		folding.Flags(fs)
		daemon.AdminPort(fs, 9082)
	}
	daemon.Main("collectd", flags, func(ctx context.Context, lg *slog.Logger) ([]daemon.Part, error) {
		log, err := events.Open(ctx, store, lg)
		if err != nil {
			return nil, err
		}
		leases, err1 := store.Dial(lg) // apart from bulk traffic, which would starve keepalives
		writes, err2 := store.Dial(lg)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		owner, err := partition.New(leases, sharing, store, log.Facts().Partitions, lg)
		if err != nil {
			return nil, errors.Join(err, leases.Close(), writes.Close(), log.Close())
		}
		c := collect.New(folding, log, snapshot.New(writes, store, log.Facts(), lg), owner, lg)
		return []daemon.Part{
			{Name: "collect", Run: c.Run, Ready: c.Ready, Metrics: c.Metrics},
			{Name: "leases", Close: leases.Close},
			{Name: "snapshot", Close: writes.Close},
			{Name: "events", Close: log.Close}, // listed last, closed last
		}, nil
	})
}
