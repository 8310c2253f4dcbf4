// Ingestd takes telemetry files over HTTP and appends their records to the event log.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/projections/snapshot"
)

func main() {
	var store events.Config
	var intake ingest.Config
	flags := func(fs *flag.FlagSet) { store.Flags(fs); intake.Flags(fs); daemon.AdminPort(fs, 9081) }
	daemon.Main("ingestd", flags, func(ctx context.Context, lg *slog.Logger) ([]daemon.Part, error) {
		log, err := events.Open(ctx, store, lg)
		if err != nil {
			return nil, err
		}
		client, err := store.Dial(lg) // its own, so that waiting for folds never waits behind appends
		if err != nil {
			return nil, errors.Join(err, log.Close())
		}
		srv, err := ingest.New(intake, log, snapshot.New(client, store, log.Facts(), lg), lg)
		if err != nil {
			return nil, errors.Join(err, client.Close(), log.Close())
		}
		return []daemon.Part{
			{Name: "ingest", Run: srv.Run, Ready: srv.Ready, Metrics: srv.Metrics},
			{Name: "snapshot", Close: client.Close},
			{Name: "events", Close: log.Close}, // listed last, closed last
		}, nil
	})
}
