package program

import (
	"context"
	"flag"
	"slices"

	"telemetry-pipeline/collectd/rebuild"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/eventlog"
)

// allCommands returns the one-shot commands of collectd besides collecting.
func allCommands() []daemon.Command {
	return slices.Concat(generationCommands(), logCommands(), archiveCommands())
}

// generationCommands returns the commands about generations of projections.
func generationCommands() []daemon.Command {
	var store eventlog.Config
	var cold archive.Config
	var cfg rebuild.Config
	return []daemon.Command{
		{
			Name:    "rebuild",
			Needs:   daemon.NeedsEtcd,
			Summary: "Folds the log again into another generation of projections, beside the one that is served, and reports its progress.",
			Flags:   func(fs *flag.FlagSet) { store.Flags(fs); cold.Flags(fs); cfg.Flags(fs) },
			Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
				if len(args) > 0 {
					return &daemon.UsageError{Text: "rebuild takes flags only"}
				}
				return rebuild.Run(ctx, cfg, store, cold, t.Out, t.Log)
			},
		},
		{
			Name:    "generations",
			Needs:   daemon.NeedsEtcd,
			Summary: "Lists the generations of projections: their purpose and their progress.",
			Flags:   store.Flags,
			Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
				if len(args) > 0 {
					return &daemon.UsageError{Text: "generations takes flags only"}
				}
				return rebuild.List(ctx, store, t.Out, t.Log)
			},
		},
	}
}
