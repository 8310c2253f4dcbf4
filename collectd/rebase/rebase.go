package rebase

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// Config configures the command. The zero value is right after a restore that bumped revisions.
type Config struct {
	Force bool // even if nothing shows that etcd was restored
}

// Flags registers the flag force.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Force, "force", false, "do it although etcd's revisions do not show that it was restored, or it was done before")
}

// leastJump is the least gap of revisions by which a restore is recognised. Removed keys leave far smaller gaps.
const leastJump = 1_000_000

var (
	// ErrNotRestored refuses an etcd that shows no sign of a restore.
	ErrNotRestored = errors.New("etcd's revisions do not show that it was restored with --bump-revision 1000000000 --mark-compacted: restore it so, " +
		"since processes and clients hold revisions from after the snapshot, which would mean something else; " +
		"-force does it nevertheless, and stops every daemon that runs on this log")
	// ErrDone refuses a second run.
	ErrDone = errors.New("the log has had another epoch since etcd was restored: there is nothing to do; -force sets another one")
)

// Run moves the log of root to another epoch, and writes the result to out. After an interruption it can be run
// again.
func Run(ctx context.Context, cfg Config, root eventlog.Config, out io.Writer, lg *slog.Logger) error {
	log, err := eventlog.Open(ctx, root, lg)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := checkRestored(ctx, cfg, log); err != nil {
		return err
	}
	client, err := root.Dial(lg)
	if err != nil {
		return err
	}
	defer client.Close()
	before := log.Facts()
	facts, err := log.PrepareRenewal(ctx)
	if err != nil {
		return err
	}
	adopted, err := snapshot.New(client, root, facts, lg).AdoptOffsets(ctx, before.Epoch)
	if err != nil {
		return err
	}
	if err := log.Renew(ctx, facts); err != nil { // last, so that before it all can be done again
		return err
	}
	fmt.Fprintf(out, "the log has epoch %016x now, and had %016x; %d offsets go on in it\n", uint64(facts.Epoch), uint64(before.Epoch), adopted)
	fmt.Fprint(out, nextSteps)
	return nil
}

// nextSteps lists the remaining steps.
const nextSteps = `remaining steps:
1. start the daemons; those that ran meanwhile end by themselves, or are restarted, since their positions are of another log
2. collectd generations: every partition is folded up to the head, without a rebuild;
   collectd rebuild -compare makes sure of it, and collectd rebuild -activate mends what differs
3. send again what was uploaded after the snapshot: what the snapshot has is recognised, and kept once
4. with an archive: collectd archive check lists the objects that were written after the snapshot; the manifest does not have them
`

func checkRestored(ctx context.Context, cfg Config, log *eventlog.Log) error {
	if cfg.Force {
		return nil
	}
	r, err := log.Restoration(ctx)
	switch {
	case err != nil:
		return err
	case r.Jump < leastJump:
		return ErrNotRestored
	case r.Renewed:
		return ErrDone
	default:
		return nil
	}
}
