// Collectd folds the event log into projections.
package main

import (
	"context"
	"flag"
	"log/slog"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
)

func main() {
	var store events.Config
	var folding collect.Config
	flags := func(fs *flag.FlagSet) { store.Flags(fs); folding.Flags(fs); daemon.AdminPort(fs, 9082) }
	daemon.Main("collectd", flags, func(ctx context.Context, lg *slog.Logger) (parts []daemon.Part, err error) {
		var opened daemon.Opened
		defer opened.CloseOn(&err)
		log, err := events.Open(ctx, store, lg)
		if err != nil {
			return nil, err
		}
		opened.Add("events", log.Close)
		c, err := collect.Open(folding, store, log, lg)
		if err != nil {
			return nil, err
		}
		return append([]daemon.Part{
			{Name: "collect", Run: c.Run, Ready: c.Ready, Metrics: c.Metrics, Close: c.Close},
		}, opened...), nil
	}, commands()...)
}
