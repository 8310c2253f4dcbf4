// Package program is the program ingestd: its flags, its parts and its commands.
//
// In: the command line and the environment of the process. Out: the upload server as a process, or one command's work. It
// is apart from package main so that a test can run as the program.
package program

import (
	"context"
	"flag"
	"log/slog"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/ingestd/uploads"
	"telemetry-pipeline/projections/snapshot"
)

// Main runs ingestd and exits, as daemon.Main does.
func Main() {
	var store eventlog.Config
	var intake ingest.Config
	flags := func(fs *flag.FlagSet) { store.Flags(fs); intake.Flags(fs); daemon.AdminPort(fs, 9081) }
	daemon.Main("ingestd", flags, func(ctx context.Context, in *daemon.Entrance, lg *slog.Logger) (parts []daemon.Part, err error) {
		if err := intake.CheckExposed(in.Guard); err != nil {
			return nil, err
		}
		var opened daemon.Opened
		defer opened.CloseOn(&err)
		log, err := eventlog.Open(ctx, store, lg)
		if err != nil {
			return nil, err
		}
		opened.Add("events", log.Close)
		reads, err := store.Dial(lg) // its own, so that waiting for folds never waits behind appends
		if err != nil {
			return nil, err
		}
		opened.Add("reads", reads.Close)
		intake.Guard, intake.TLS, intake.Tracer = in.Guard, in.TLS, in.Tracer
		intake.States = uploads.New(reads, store, lg)
		srv, err := ingest.New(intake, log, snapshot.New(reads, store, log.Facts(), lg), lg)
		if err != nil {
			return nil, err
		}
		return append([]daemon.Part{{Name: "ingest", Run: srv.Run, Ready: srv.Ready, Metrics: srv.Metrics}, {Name: "etcd", Metrics: store.Metrics}}, opened...), nil
	}, allCommands()...)
}
