package program

import (
	"context"
	"flag"
	"log/slog"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// settings are the settings of the process.
type settings struct {
	store   eventlog.Config
	archive archive.Config
	folding collect.Config
}

func (s *settings) registerFlags(fs *flag.FlagSet) {
	s.store.Flags(fs)
	s.archive.Flags(fs)
	s.folding.Flags(fs)
	daemon.AdminPort(fs, 9082)
}

// buildParts returns the collector on a log, and on an archive if there is one.
func (s *settings) buildParts(ctx context.Context, in *daemon.Entrance, lg *slog.Logger) (parts []daemon.Part, err error) {
	var opened daemon.Opened
	defer opened.CloseOn(&err)
	log, err := eventlog.Open(ctx, s.store, lg)
	if err != nil {
		return nil, err
	}
	opened.Add("events", log.Close)
	if s.folding.Archive, err = s.archive.Open(ctx); err != nil {
		return nil, err
	}
	if s.folding.Archive != nil {
		opened.Add("archive", s.folding.Archive.Close)
	}
	s.folding.Tracer = in.Tracer
	c, err := collect.Open(s.folding, s.store, log, lg)
	if err != nil {
		return nil, err
	}
	return append([]daemon.Part{
		{Name: "collect", Run: c.Run, Ready: c.Ready, Degraded: c.Degraded, Metrics: c.Metrics, Status: c.Status, Close: c.Close},
		{Name: "etcd", Metrics: s.store.Metrics},
	}, opened...), nil
}
