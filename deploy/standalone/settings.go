package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/collect"
	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/ingest"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/query"
)

// settings are those of all parts in one process.
type settings struct {
	dataDir string
	demo    bool

	store   events.Config
	intake  ingest.Config
	sharing partition.Config
	folding collect.Config
	serving query.Config

	announce func(uploads, queries, dir string) // called once everything is up
}

const defaultDataDir = "./data"

func (s *settings) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.dataDir, "data-dir", "", "directory that keeps everything between runs; default "+defaultDataDir+", thrown away after a demo that names none")
	fs.BoolVar(&s.demo, "demo", false, "play a simulated fleet into the upload endpoint")
	s.intake.Flags(fs)
	s.folding.Flags(fs)
	s.serving.Flags(fs)
	fs.StringVar(&s.store.ClusterID, "cluster.id", events.DefaultClusterID, "name of the GPU cluster; each has a log of its own")
}

// build opens the embedded etcd and makes the parts of the three daemons on it, as their own mains do.
// What it opened before a failure is closed again.
func (s *settings) build(ctx context.Context, lg *slog.Logger) (parts []daemon.Part, err error) {
	opened := opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}()
	dir, err := s.directory(&opened)
	if err != nil {
		return nil, err
	}
	server, err := openEtcd(ctx, dir, lg)
	if err != nil {
		return nil, err
	}
	opened.add("etcd", server.close)
	s.store.Endpoints = server.endpoint
	log, err := events.Open(ctx, s.store, lg)
	if err != nil {
		return nil, err
	}
	opened.add("events", log.Close)
	leases, err := s.dial(&opened, "leases", lg)
	if err != nil {
		return nil, err
	}
	writes, err := s.dial(&opened, "writes", lg)
	if err != nil {
		return nil, err
	}
	reads, err := s.dial(&opened, "reads", lg)
	if err != nil {
		return nil, err
	}
	served := snapshot.New(reads, s.store, log.Facts(), lg)
	// The query server waits for a generation to serve, and starts before the collector, which makes it.
	if _, err := served.Active(ctx); err != nil {
		return nil, err
	}
	s.sharing.DataDir = filepath.Join(dir, "collector")
	owner, err := partition.New(leases, s.sharing, s.store, log.Facts().Partitions, lg)
	if err != nil {
		return nil, err
	}
	intake, err := ingest.New(s.intake, log, served, lg.With("part", "ingest"))
	if err != nil {
		return nil, err
	}
	folding := collect.New(s.folding, log, snapshot.New(writes, s.store, log.Facts(), lg), owner, lg.With("part", "collect"))
	serving, err := query.New(s.serving, served, log, lg.With("part", "query"))
	if err != nil {
		return nil, err
	}
	parts = []daemon.Part{
		s.front(dir, intake, serving, lg),
		{Name: "ingest", Run: intake.Run, Ready: intake.Ready, Metrics: intake.Metrics},
		{Name: "collect", Run: folding.Run, Ready: folding.Ready, Metrics: folding.Metrics},
		{Name: "query", Run: serving.Run, Ready: serving.Ready, Metrics: serving.Metrics},
	}
	return append(parts, opened.parts()...), nil
}

func (s *settings) dial(opened *opened, name string, lg *slog.Logger) (*clientv3.Client, error) {
	client, err := s.store.Dial(lg)
	if err == nil {
		opened.add(name, client.Close)
	}
	return client, err
}

// directory gives the data directory: the one named, a throwaway one for a demo, or ./data.
func (s *settings) directory(opened *opened) (string, error) {
	if s.dataDir != "" || !s.demo {
		return cmp.Or(s.dataDir, defaultDataDir), nil
	}
	dir, err := os.MkdirTemp("", "telemetry-demo-")
	if err != nil {
		return "", fmt.Errorf("making a throwaway data directory: %w", err)
	}
	opened.add("throwaway data", func() error { return os.RemoveAll(dir) })
	return dir, nil
}

// opened is what build has opened so far; it is closed from the last to the first.
type opened struct{ list []daemon.Part }

func (o *opened) add(name string, close func() error) {
	o.list = append([]daemon.Part{{Name: name, Close: close}}, o.list...)
}

func (o *opened) parts() []daemon.Part { return o.list }

func (o *opened) close() error {
	var all error
	for _, p := range o.list {
		all = errors.Join(all, p.Close())
	}
	return all
}
