package program

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/ingestd/uploads"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// settings are the settings of all parts in one process.
type settings struct {
	dataDir string
	demo    bool

	store   eventlog.Config
	archive archive.Config
	intake  ingest.Config
	folding collect.Config
	serving query.Config

	announce func(uploads, queries, dir string) // called once everything is up; uploads is "" when they are off
}

// keepReplaced is enough for readers: a backup of the data directory has etcd and the archive of one instant.
const keepReplaced = 15 * time.Second

const defaultDataDir = "./data"

func (s *settings) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.dataDir, "data-dir", "", "directory that keeps everything between runs; default "+defaultDataDir+", thrown away after a demo that names none")
	fs.BoolVar(&s.demo, "demo", false, "play a simulated fleet into the upload endpoint")
	fs.IntVar(&s.store.Partitions, "cluster.partitions", 0, "number of partitions, fixed when a log is first used; 0 takes what the log has, 64 for a new one")
	s.intake.Flags(fs)
	s.folding.Retain.KeepReplaced = keepReplaced
	s.folding.Flags(fs)
	s.serving.Flags(fs)
	fs.StringVar(&s.archive.URL, "archive.url", "", "where events go that leave etcd: file:///directory, or s3://bucket?region=…&endpoint=https://…; default: the directory archive below the data directory")
	fs.StringVar(&s.store.ClusterID, "cluster.id", eventlog.DefaultClusterID, "name of the GPU cluster; each has a log of its own")
}

// buildParts opens the embedded etcd and makes the parts of the three daemons on it, as their own mains do.
// It closes everything that it opened before a failure.
func (s *settings) buildParts(ctx context.Context, in *daemon.Entrance, lg *slog.Logger) (parts []daemon.Part, err error) {
	var opened daemon.Opened
	defer opened.CloseOn(&err)
	if err := errors.Join(s.serving.CheckExposed(in.Guard), s.intake.CheckExposed(in.Guard)); err != nil {
		return nil, err
	}
	if s.demo && s.intake.Off {
		return nil, errors.New("the demo plays its fleet into the upload server, which is off: start without -demo, or with -enable-http (ENABLE_HTTP)")
	}
	s.intake.Tracer, s.folding.Tracer, s.serving.Tracer = in.Tracer, in.Tracer, in.Tracer
	dir, err := s.dataDirectory(&opened)
	if err != nil {
		return nil, err
	}
	server, err := openEtcd(ctx, dir, lg)
	if err != nil {
		return nil, err
	}
	opened.Add("etcd", server.close)
	s.store.Endpoints = server.endpoint
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
	if err := disarmAlarm(ctx, log, reads, lg); err != nil {
		return nil, err
	}
	served := snapshot.New(reads, s.store, log.Facts(), lg)
	// The query server waits for a generation to serve, and starts before the collector, which makes it.
	if _, err := served.Active(ctx); err != nil {
		return nil, err
	}
	s.folding.Sharing.DataDir = filepath.Join(dir, "collector")
	cold, err := s.openArchive(ctx, dir)
	if err != nil {
		return nil, err
	}
	opened.Add("archive", cold.Close)
	s.folding.Archive = cold
	folding, err := collect.Open(s.folding, s.store, log, lg.With("part", "collect"))
	if err != nil {
		return nil, err
	}
	opened.Add("collect", folding.Close)
	s.intake.Spool.Dir = cmp.Or(s.intake.Spool.Dir, filepath.Join(dir, "uploads"))
	s.intake.States = uploads.New(reads, s.store, lg.With("part", "ingest"))
	s.intake.Guard, s.intake.TLS, s.serving.Guard, s.serving.TLS = in.Guard, in.TLS, in.Guard, in.TLS
	s.serving.ClusterID = s.store.ClusterID
	serving, err := query.New(s.serving, served, log, lg.With("part", "query"))
	if err != nil {
		return nil, err
	}
	serving.ReadArchive(cold, manifest.New(reads, s.store, log.Facts()))
	intake, err := ingest.New(s.intake, log, shown{served, serving}, lg.With("part", "ingest"))
	if err != nil {
		return nil, err
	}
	front, err := s.frontAddresses(dir, intake, serving, in, lg)
	if err != nil {
		return nil, err
	}
	parts = []daemon.Part{
		front,
		{Name: "ingest", Run: intake.Run, Ready: intake.Ready, Metrics: intake.Metrics},
		{Name: "collect", Run: folding.Run, Ready: folding.Ready, Degraded: folding.Degraded, Started: startedWhileBuilding(folding.Ready), Metrics: folding.Metrics, Status: folding.Status},
		{Name: "query", Run: serving.Run, Ready: serving.Ready, Started: startedWhileBuilding(serving.Ready), Metrics: serving.Metrics},
	}
	return append(parts, opened...), nil
}

// startedWhileBuilding returns the function Started of a part. The part has started when it is ready, and also while it
// waits for the first generation of this program's model version: the collector builds that one, and uploads are accepted
// meanwhile.
func startedWhileBuilding(ready func() error) func() error {
	return func() error {
		err := ready()
		if _, other := errors.AsType[*snapshot.VersionError](err); other || errors.Is(err, collect.ErrBuilding) {
			return nil
		}
		return err
	}
}

// openArchive opens the archive that is named, or the one below the data directory.
func (s *settings) openArchive(ctx context.Context, dir string) (*archive.Store, error) {
	where := s.archive
	if where.URL == "" {
		abs, err := filepath.Abs(filepath.Join(dir, "archive"))
		if err != nil {
			return nil, fmt.Errorf("finding the archive's directory: %w", err)
		}
		where.URL = (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()
	}
	return where.Open(ctx)
}

// dataDirectory returns the data directory: the one named, a throwaway one for a demo, or ./data.
func (s *settings) dataDirectory(opened *daemon.Opened) (string, error) {
	if s.dataDir != "" || !s.demo {
		return cmp.Or(s.dataDir, defaultDataDir), nil
	}
	dir, err := os.MkdirTemp("", "telemetry-demo-")
	if err != nil {
		return "", fmt.Errorf("making a throwaway data directory: %w", err)
	}
	opened.Add("throwaway data", func() error { return os.RemoveAll(dir) })
	return dir, nil
}
