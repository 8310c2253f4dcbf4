package program

import (
	"context"
	"errors"
	"flag"

	"telemetry-pipeline/collectd/join"
	"telemetry-pipeline/collectd/transfer"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// location configures the log and the archive that events are exported from or imported into.
type location struct {
	store   eventlog.Config
	archive archive.Config
}

func (p *location) registerFlags(fs *flag.FlagSet) {
	p.store.Flags(fs)
	p.archive.Flags(fs)
}

// openLocation is an open location: the log, and the archive with its manifest.
type openLocation struct {
	*manifest.Reader
	log      *eventlog.Log
	manifest *manifest.Manifest
	objects  *archive.Store // nil without an archive
	views    *snapshot.Store
}

// Facts returns the facts of the log.
func (o *openLocation) Facts() events.Facts { return o.log.Facts() }

// listEntries returns the entries that the manifest lists for a partition.
func (o *openLocation) listEntries(ctx context.Context, p events.Partition) ([]archive.Entry, error) {
	part, err := o.manifest.Load(ctx, p)
	if err != nil {
		return nil, err
	}
	all := make([]archive.Entry, len(part.Entries))
	for i := range part.Entries {
		all[i] = part.Entries[i].Entry
	}
	return all, nil
}

// withOpen opens a location for the duration of do.
func (p *location) withOpen(ctx context.Context, t daemon.Terminal, do func(*openLocation) error) error {
	log, err := eventlog.Open(ctx, p.store, t.Log)
	if err != nil {
		return err
	}
	defer log.Close()
	client, err := p.store.Dial(t.Log)
	if err != nil {
		return err
	}
	defer client.Close()
	objects, err := p.archive.Open(ctx)
	if err != nil {
		return err
	}
	if objects != nil {
		defer objects.Close()
	}
	m := manifest.New(client, p.store, log.Facts())
	views := snapshot.New(client, p.store, log.Facts(), t.Log)
	return do(&openLocation{Reader: manifest.NewReader(log, objects, m), log: log, manifest: m, objects: objects, views: views})
}

func exportCommand() daemon.Command {
	var from location
	var cfg transfer.Config
	return daemon.Command{
		Name:    "export",
		Needs:   daemon.NeedsEtcd,
		Summary: "Writes the events of the archive and the log, up to the newest of now: lines that import reads back exactly, or CSV that can be uploaded.",
		Flags:   cfg.Flags, Prefix: "EXPORT_", Shared: from.registerFlags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) > 0 {
				return &daemon.UsageError{Text: "export takes flags only"}
			}
			return from.withOpen(ctx, t, func(o *openLocation) error { return transfer.Export(ctx, cfg, o, t.Out, t.Err) })
		},
	}
}

func importCommand() daemon.Command {
	var to location
	return daemon.Command{
		Name: "import", Needs: daemon.NeedsEtcd, Args: "FILE…",
		Summary: "Appends the events of exported lines (packed by gzip or not; - for the standard input) that the log and the archive do not have; exit code 3: some lines are of no export.",
		Prefix:  "IMPORT_", Shared: to.registerFlags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) == 0 {
				return &daemon.UsageError{Text: "name the files to import, or - for the standard input"}
			}
			err := to.withOpen(ctx, t, func(o *openLocation) error {
				im := transfer.Importer{Root: to.store, To: o.log}
				if o.objects != nil {
					im.Archive = transfer.NewArchive(o.listEntries, o.objects)
				}
				_, err := im.Files(ctx, args, t.In, t.Err)
				return err
			})
			if errors.Is(err, transfer.ErrBadLines) {
				t.Log.Warn("import", "err", err)
				return &daemon.ExitError{Code: 3}
			}
			return err
		},
	}
}

func joinCommand() daemon.Command {
	var of location
	var cfg join.Config
	return daemon.Command{
		Name:    "join",
		Needs:   daemon.NeedsEtcd,
		Summary: "Joins hosts that are pods of an exporter to their node (docs/runbooks/joining-hosts.md): the node has their records then, and they leave the views.",
		Flags:   cfg.Flags, Prefix: "JOIN_", Shared: of.registerFlags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) > 0 {
				return &daemon.UsageError{Text: "join takes flags only"}
			}
			if err := cfg.Check(); err != nil {
				return &daemon.UsageError{Text: err.Error()}
			}
			return of.withOpen(ctx, t, func(o *openLocation) error {
				_, err := join.Run(ctx, cfg, join.Cluster{All: o, Log: o.log, Views: o.views}, t.Out, t.Err)
				return err
			})
		},
	}
}
