package program

import (
	"context"
	"fmt"
	"log/slog"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
)

// roomPercent of the quota is the most that the database may take for the alarm to be taken back: a larger
// file after the defragmentation at the start would raise it again at once.
const roomPercent = 95

// disarmAlarm takes an alarm of an earlier run back that etcd, which keeps it over restarts, still has although
// defragmenting at the start has made room. Elsewhere that is the operator's task; here no operator has access.
func disarmAlarm(ctx context.Context, log *eventlog.Log, client *clientv3.Client, lg *slog.Logger) error {
	c, err := log.Capacity(ctx)
	if err != nil || !c.NoSpace {
		return err
	}
	if c.Bytes >= c.Quota/100*roomPercent {
		lg.Error("the data directory is full and takes no more uploads; queries go on. docs/runbooks/etcd-full.md says what can be done",
			"bytes", c.Bytes, "in_use", c.InUse, "quota", c.Quota)
		return nil
	}
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("taking etcd's alarm NOSPACE back: %w", err)
	}
	lg.Warn("etcd was out of space in an earlier run and has room again; took its alarm back", "bytes", c.Bytes, "quota", c.Quota)
	return nil
}
