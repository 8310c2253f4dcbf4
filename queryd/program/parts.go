package program

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// settings are the flags of the process.
type settings struct {
	store   eventlog.Config
	cells   cellsFile
	archive archive.Config
	serving query.Config
}

func (s *settings) registerFlags(fs *flag.FlagSet) {
	s.store.Flags(fs)
	s.archive.Flags(fs)
	s.serving.Flags(fs)
	s.cells.registerFlags(fs)
	daemon.AdminPort(fs, 9080)
}

// buildParts returns the query server on stored projections, and on an archive if there is one.
func (s *settings) buildParts(ctx context.Context, in *daemon.Entrance, lg *slog.Logger) (parts []daemon.Part, err error) {
	if err := s.serving.CheckExposed(in.Guard); err != nil {
		return nil, err
	}
	if s.serving.Guard, s.serving.TLS, s.serving.Tracer = in.Guard, in.TLS, in.Tracer; s.cells.path != "" {
		return s.buildGateway(lg)
	}
	var opened daemon.Opened
	defer opened.CloseOn(&err)
	log, err := eventlog.Open(ctx, s.store, lg)
	if err != nil {
		return nil, err
	}
	opened.Add("events", log.Close)
	reads, err := s.store.Dial(lg)
	if err != nil {
		return nil, err
	}
	opened.Add("reads", reads.Close)
	cold, err := s.archive.Open(ctx)
	if err != nil {
		return nil, err
	}
	s.serving.ClusterID = s.store.ClusterID
	served := snapshot.New(reads, s.store, log.Facts(), lg)
	srv, err := query.New(s.serving, served, log, lg)
	if err != nil {
		return nil, err
	}
	if archived := manifest.New(reads, s.store, log.Facts()); cold == nil {
		srv.RefuseArchived(served, archived)
	} else {
		opened.Add("archive", cold.Close)
		srv.ReadArchive(cold, archived)
	}
	query := daemon.Part{Name: "query", Run: srv.Run, Ready: srv.Ready, Metrics: srv.Metrics}
	return append([]daemon.Part{query, {Name: "snapshot", Metrics: served.Metrics}, {Name: "etcd", Metrics: s.store.Metrics}}, opened...), nil
}

// buildGateway returns the query server of the clusters of a file. It connects to them when it runs.
func (s *settings) buildGateway(lg *slog.Logger) ([]daemon.Part, error) {
	if s.archive.URL != "" {
		return nil, errors.New("flag archive.url is of one cluster; with query.cells write it into the lines of the file, as member archive")
	}
	sources, err := s.cells.read(s.store)
	if err != nil {
		return nil, err
	}
	srv, err := query.NewGateway(s.serving, sources, lg)
	if err != nil {
		return nil, err
	}
	return []daemon.Part{{Name: "query", Run: srv.Run, Ready: srv.Ready, Metrics: srv.Metrics}}, nil
}
