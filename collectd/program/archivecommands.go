package program

import (
	"context"
	"flag"

	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// archiveCommands returns the commands about the archive.
func archiveCommands() []daemon.Command {
	var store eventlog.Config
	var where archive.Config
	var cfg retain.Check
	return []daemon.Command{{
		Name:    "archive",
		Needs:   daemon.NeedsEtcd,
		Args:    "check",
		Summary: "Compares the archive with its manifest: reports objects that no entry lists, and entries whose objects are missing or damaged.",
		Flags:   func(fs *flag.FlagSet) { store.Flags(fs); where.Flags(fs); cfg.Flags(fs) },
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) != 1 || args[0] != "check" {
				return &daemon.UsageError{Text: "say what to do with the archive: check"}
			}
			return cfg.Run(ctx, store, where, t.Out, t.Log)
		},
	}}
}
