// Queryd answers queries over REST, GraphQL and WebSocket, from a view that one watch keeps current.
package main

import (
	"context"
	"flag"
	"log/slog"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

func main() {
	var store events.Config
	var serving query.Config
	flags := func(fs *flag.FlagSet) { store.Flags(fs); serving.Flags(fs); daemon.AdminPort(fs, 9080) }
	daemon.Main("queryd", flags, func(ctx context.Context, lg *slog.Logger) (parts []daemon.Part, err error) {
		var opened daemon.Opened
		defer opened.CloseOn(&err)
		log, err := events.Open(ctx, store, lg)
		if err != nil {
			return nil, err
		}
		opened.Add("events", log.Close)
		reads, err := store.Dial(lg)
		if err != nil {
			return nil, err
		}
		opened.Add("reads", reads.Close)
		served := snapshot.New(reads, store, log.Facts(), lg)
		srv, err := query.New(serving, served, log, lg)
		if err != nil {
			return nil, err
		}
		query := daemon.Part{Name: "query", Run: srv.Run, Ready: srv.Ready, Metrics: srv.Metrics}
		return append([]daemon.Part{query, {Name: "snapshot", Metrics: served.Metrics}}, opened...), nil
	})
}
