package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/events/trace"
)

// Entrance is what all listeners of a process have in common: who may come in, the certificate they show, and where their requests
// are traced. The process runs it; parts use it.
type Entrance struct {
	Guard  *access.Guard
	TLS    *listen.TLS   // Wrap leaves listeners as they are without a certificate
	Tracer *trace.Tracer // nil: nothing is traced
}

// entranceConfig configures the entrance.
type entranceConfig struct {
	access access.Config
	tls    listen.TLSConfig
}

func (c *entranceConfig) registerFlags(fs *flag.FlagSet) {
	c.access.Flags(fs)
	c.tls.Flags(fs)
}

// OpenEntrance reads the files of an entrance. Scopes are narrowed to the cluster. Its errors are of settings.
func OpenEntrance(who access.Config, encryption listen.TLSConfig, cluster string, lg *slog.Logger) (*Entrance, error) {
	served, err := listen.NewTLS(encryption, lg)
	if err != nil {
		return nil, err
	}
	who.ClientCertificates = encryption.ClientCA != ""
	guard, err := access.New(who, cluster, lg)
	if err != nil {
		return nil, err
	}
	return &Entrance{Guard: guard, TLS: served}, nil
}

// clusterOf returns the name of the cluster of the process, which is a flag of the log; "" for a process without a log, and
// access.AllClusters for one that serves the clusters of a file.
func clusterOf(fs *flag.FlagSet) string {
	if f := fs.Lookup("query.cells"); f != nil && f.Value.String() != "" {
		return access.AllClusters
	}
	if f := fs.Lookup("cluster.id"); f != nil {
		return f.Value.String()
	}
	return ""
}

// Part returns the entrance as the part that keeps it current. It belongs behind all others: it starts before them and stops after them.
func (e *Entrance) Part() Part {
	return Part{
		Name: "access", Run: e.run, Degraded: e.Guard.Degraded,
		Metrics: func(reg prometheus.Registerer) error { return errors.Join(e.Guard.Metrics(reg), e.TLS.Metrics(reg)) },
	}
}

// run keeps principals, keys and certificates current until ctx ends.
func (e *Entrance) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- e.Guard.Run(ctx) }()
	go func() { ended <- e.TLS.Run(ctx) }()
	first := <-ended
	cancel()
	if err := errors.Join(first, <-ended); err != nil {
		return fmt.Errorf("keeping credentials and certificates current: %w", err)
	}
	return nil
}
