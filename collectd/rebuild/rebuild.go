package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// log is the part of the event log that the commands need (eventlog.Log).
type log interface {
	UnreadPartitions(ctx context.Context, after map[events.Partition]events.Revision, upto events.Revision) ([]events.Partition, error)
	Head(ctx context.Context) (events.Revision, error)
}

// reader reads events of the log, and those that have left it for the archive (manifest.Reader).
type reader interface {
	Read(ctx context.Context, p events.Partition, after, upto events.Revision) iter.Seq2[events.Event, error]
}

// rebuild is one command.
type rebuild struct {
	cfg        Config
	root       eventlog.Config
	log        log
	reader     reader
	store      *snapshot.Store
	partitions int
	version    int // of the models
	out        *output
}

// Run does the steps of cfg, with the archive if there is one, and writes its progress to out. It returns when they
// are done, when ctx ends, or with an error, such as ErrDiffers. The generation remains, and collectors continue it,
// however Run ends.
func Run(ctx context.Context, cfg Config, root eventlog.Config, cold archive.Config, out io.Writer, lg *slog.Logger) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	store, err := cold.Open(ctx)
	if err != nil {
		return err
	}
	if store != nil {
		defer store.Close()
	}
	return withRebuild(ctx, root, store, out, lg, func(r *rebuild) error {
		r.cfg = cfg
		return r.runCommand(ctx)
	})
}

// withRebuild connects for the duration of do.
func withRebuild(ctx context.Context, root eventlog.Config, cold *archive.Store, out io.Writer, lg *slog.Logger, do func(*rebuild) error) error {
	log, err := eventlog.Open(ctx, root, lg)
	if err != nil {
		return err
	}
	defer log.Close()
	client, err := root.Dial(lg)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(&rebuild{
		root: root, log: log, reader: manifest.NewReader(log, cold, manifest.New(client, root, log.Facts())), store: snapshot.New(client, root, log.Facts(), lg),
		partitions: log.Facts().Partitions, version: snapshot.ModelVersion, out: newOutput(out),
	})
}

var errNone = errors.New("there is no generation yet: start a collectd, which makes the first one")

// errGivenUp ends the wait for a generation that another command retired or removed.
var errGivenUp = errors.New("it was given up meanwhile, by -abandon or -new elsewhere")

func (r *rebuild) runCommand(ctx context.Context) error {
	g, err := r.findGeneration(ctx)
	if err != nil || g == "" || r.cfg.Detach {
		return err
	}
	if err := r.awaitState(ctx, g, snapshot.Complete); err != nil {
		return err
	}
	if r.cfg.Compare {
		all, err := r.store.Generations(ctx)
		if err != nil {
			return err
		}
		if err := r.compareGenerations(ctx, all.Active, g); err != nil {
			return err
		}
	}
	if !r.cfg.Activate {
		r.out.printf("generation %s is complete, and kept up with the log; -activate makes it the active one, -abandon removes it", g)
		return nil
	}
	if err := r.requestActivation(ctx, g); err != nil {
		return err
	}
	if err := r.awaitState(ctx, g, snapshot.Active); err != nil {
		return err
	}
	return r.awaitRemovals(ctx)
}

// findGeneration returns the generation to follow: one that is being built, or a new one. With -abandon it returns
// "".
func (r *rebuild) findGeneration(ctx context.Context) (projections.Generation, error) {
	for {
		all, err := r.store.Generations(ctx)
		if err != nil {
			return "", err
		}
		if all.Active == "" {
			return "", errNone
		}
		g, err := r.chooseGeneration(ctx, all)
		if !errors.Is(err, snapshot.ErrChanged) {
			return g, err
		}
	}
}

func (r *rebuild) chooseGeneration(ctx context.Context, all snapshot.Generations) (projections.Generation, error) {
	g := all.Successor(r.version)
	switch {
	case g != "" && (r.cfg.Abandon || r.cfg.New):
		if err := r.store.Retire(ctx, g, all.All[g], r.evictOp); err != nil {
			return "", err
		}
		r.out.printf("generation %s is given up; a collector removes it", g)
		if r.cfg.New {
			return "", snapshot.ErrChanged // read again, and make another
		}
		return "", nil
	case r.cfg.Abandon:
		r.out.printf("no generation is being built")
		return "", nil
	case g != "":
		r.out.printf("generation %s is being built already; looking on", g)
		if r.activatesAtOnce() {
			return g, r.requestActivation(ctx, g)
		}
		return g, nil
	}
	r.cfg.New = false
	g, err := r.store.Create(ctx, all, r.version, r.activatesAtOnce())
	if err == nil {
		r.out.printf("generation %s is made, of model version %d; collectors of that version fold it", g, r.version)
	}
	return g, err
}

// activatesAtOnce reports whether collectors may activate the generation as soon as it is complete.
func (r *rebuild) activatesAtOnce() bool { return r.cfg.Activate && !r.cfg.Compare }

// requestActivation notes in the generation's record that it is to become active.
func (r *rebuild) requestActivation(ctx context.Context, g projections.Generation) error {
	for {
		all, err := r.store.Generations(ctx)
		if err != nil {
			return err
		}
		info, there := all.All[g]
		switch {
		case !there || info.State == snapshot.Retired:
			return fmt.Errorf("generation %s: %w", g, errGivenUp)
		case info.Activate || info.State == snapshot.Active:
			return nil
		}
		info.Activate = true
		if err := r.store.Move(ctx, g, info); !errors.Is(err, snapshot.ErrChanged) {
			return err
		}
	}
}

func (r *rebuild) evictOp(g projections.Generation) clientv3.Op {
	return partition.Evict(r.root, string(g))
}
