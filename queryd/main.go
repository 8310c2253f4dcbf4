// Queryd answers queries over REST, GraphQL and WebSocket, from a view that one watch keeps current.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

func main() {
	var log events.Config
	var server query.Config
	flags := func(fs *flag.FlagSet) { log.Flags(fs); server.Flags(fs); daemon.AdminPort(fs, 9080) }
	daemon.Main("queryd", flags, func(ctx context.Context, lg *slog.Logger) ([]daemon.Part, error) {
		opened, err := events.Open(ctx, log, lg)
		if err != nil {
			return nil, err
		}
		client, err := log.Dial(lg)
		if err != nil {
			return nil, errors.Join(err, opened.Close())
		}
		store := snapshot.New(client, log, opened.Facts(), lg)
		srv, err := query.New(server, store, opened, lg)
		if err != nil {
			return nil, errors.Join(err, client.Close(), opened.Close())
		}
		return []daemon.Part{
			{Name: "query", Run: srv.Run, Ready: srv.Ready, Metrics: srv.Metrics},
			{Name: "snapshot", Metrics: store.Metrics, Close: client.Close},
			{Name: "events", Close: opened.Close}, // listed last, closed last
		}, nil
	})
}
