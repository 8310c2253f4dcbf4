package program

import (
	"context"

	"telemetry-pipeline/collectd/backup"
	"telemetry-pipeline/collectd/etcdusers"
	"telemetry-pipeline/collectd/rebase"
	"telemetry-pipeline/collectd/tail"
	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/eventlog"
)

// logCommands returns the commands about the log itself: tail, export, import, join, restored, access and snapshot.
func logCommands() []daemon.Command {
	return []daemon.Command{tailCommand(), exportCommand(), importCommand(), joinCommand(), restoredCommand(), accessCommand(), snapshotCommand()}
}

func tailCommand() daemon.Command {
	var store eventlog.Config
	var cfg tail.Config
	return daemon.Command{
		Name:    "tail",
		Needs:   daemon.NeedsEtcd,
		Summary: "Shows the log as it grows, a line per record, until Ctrl-C.",
		Flags:   cfg.Flags, Prefix: "TAIL_", Shared: store.Flags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) > 0 {
				return &daemon.UsageError{Text: "tail takes flags only"}
			}
			return tail.Run(ctx, cfg, store, t.Out, t.Log)
		},
	}
}

func restoredCommand() daemon.Command {
	var store eventlog.Config
	var cfg rebase.Config
	return daemon.Command{
		Name:    "restored",
		Needs:   daemon.NeedsEtcd,
		Summary: "Makes the log go on after etcd was restored from a snapshot (docs/runbooks/backup.md), before any daemon is started.",
		Flags:   cfg.Flags, Prefix: "RESTORED_", Shared: store.Flags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) > 0 {
				return &daemon.UsageError{Text: "restored takes flags only"}
			}
			return rebase.Run(ctx, cfg, store, t.Out, t.Log)
		},
	}
}

func accessCommand() daemon.Command {
	var store eventlog.Config
	var cfg etcdusers.Config
	return daemon.Command{
		Name:    "access",
		Needs:   daemon.NeedsEtcd,
		Summary: "Creates the users and roles of the daemons in etcd (docs/runbooks/etcd-access.md), reports each, and enables authentication with -enable.",
		Flags:   cfg.Flags, Prefix: "ACCESS_", Shared: store.Flags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) > 0 {
				return &daemon.UsageError{Text: "access takes flags only"}
			}
			return etcdusers.Run(ctx, cfg, store, t.Out, t.Log)
		},
	}
}

func snapshotCommand() daemon.Command {
	var store eventlog.Config
	var cfg backup.Config
	return daemon.Command{
		Name:    "snapshot",
		Needs:   daemon.NeedsEtcd,
		Summary: "Saves a snapshot of etcd to a directory, checks it, and removes older ones, or lists them (docs/runbooks/backup.md).",
		Flags:   cfg.Flags, Prefix: "SNAPSHOT_", Shared: store.Flags,
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) > 0 {
				return &daemon.UsageError{Text: "snapshot takes flags only"}
			}
			if err := cfg.CheckFlags(); err != nil {
				return &daemon.UsageError{Text: err.Error()}
			}
			return backup.Run(ctx, cfg, store, t.Out, t.Log)
		},
	}
}
