package rebuild

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

// List writes a table of all generations: the revisions that each is behind the head of the log, and its size.
func List(ctx context.Context, root eventlog.Config, out io.Writer, lg *slog.Logger) error {
	return withRebuild(ctx, root, nil, out, lg, func(r *rebuild) error { return r.listGenerations(ctx) })
}

func (r *rebuild) listGenerations(ctx context.Context) error {
	all, err := r.store.Generations(ctx)
	if err != nil {
		return err
	}
	head, err := r.log.Head(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(r.out.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GENERATION\tMODELS\tSTATE\tCREATED\tPARTITIONS\tLAG\tRECORDS\tKEYS")
	for _, g := range byAge(all) {
		info := all.All[g]
		offsets, err := r.store.Offsets(ctx, g)
		if err != nil {
			return err
		}
		keys, err := r.store.Keys(ctx, g)
		if err != nil {
			return err
		}
		lag, err := r.lagText(ctx, offsets, head)
		if err != nil {
			return err
		}
		state := string(info.State)
		if info.Activate {
			state += ", to be active"
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d of %d\t%s\t%d\t%d\n", g, info.ModelVersion, state, info.CreatedAt.UTC().Format(time.RFC3339),
			len(offsets), r.partitions, lag, recordsOf(offsets), keys)
	}
	return table.Flush()
}

func byAge(all snapshot.Generations) []projections.Generation {
	return slices.SortedFunc(maps.Keys(all.All), func(a, b projections.Generation) int {
		return cmp.Or(all.All[a].CreatedAt.Compare(all.All[b].CreatedAt), cmp.Compare(a, b))
	})
}

// lagText returns the number of revisions that the partition furthest behind is behind the head, among those that
// have events to fold.
func (r *rebuild) lagText(ctx context.Context, offsets map[events.Partition]projections.Offsets, head events.Revision) (string, error) {
	after := map[events.Partition]events.Revision{}
	for p := range events.Partition(r.partitions) {
		at := foldedUpto(offsets[p])
		if at.Number > 0 && !at.SameLog(head) {
			return "of another log", nil
		}
		after[p] = at
	}
	unread, err := r.log.UnreadPartitions(ctx, after, head)
	most := int64(0)
	for _, p := range unread {
		most = max(most, head.Number-after[p].Number)
	}
	return fmt.Sprint(most), err
}

// foldedUpto returns the position up to which a partition is folded.
func foldedUpto(o projections.Offsets) events.Revision {
	if o.Series.Number < o.Live.Number {
		return o.Series
	}
	return o.Live
}
