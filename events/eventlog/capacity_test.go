package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

const smallQuota = 4 << 20

func smallServer(t *testing.T) *eventstest.Server {
	t.Helper()
	return eventstest.NewServer(t, func(cfg *embed.Config) { cfg.QuotaBackendBytes = smallQuota })
}

func capacityOf(t *testing.T, log *eventlog.Log) eventlog.Capacity {
	t.Helper()
	var c eventlog.Capacity
	err := errors.New("not asked")
	for limit := time.Second; err != nil && limit < time.Minute; limit *= 2 { // the missing member uses all the time there is
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		c, err = log.Capacity(ctx)
		cancel()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The whole way down and up again: etcd fills until it refuses; compaction alone does not help; deleting, compacting,
// defragmenting and disarming does, and each step shows.
func TestCapacityFollowsEtcdIntoItsQuotaAndBack(t *testing.T) {
	server := smallServer(t)
	log := eventstest.OpenLog(t, server.Config(t))
	before := capacityOf(t, log)
	if before.Quota != smallQuota || before.NoSpace || before.Bytes <= 0 || before.InUse > before.Bytes || before.Endpoint != server.Endpoint() {
		t.Fatalf("an empty etcd returned %+v", before)
	}
	client := server.Client(t)
	const spare = 200
	for i := range spare {
		if _, err := client.Put(t.Context(), fmt.Sprint("/spare/", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	value := strings.Repeat("x", 256<<10)
	for i := 0; ; i++ {
		if _, err := client.Put(t.Context(), "/filler/one", value); err != nil {
			break
		}
		if i > 100 {
			t.Fatal("a small quota took 25 MiB")
		}
	}
	full := capacityOf(t, log)
	if !full.NoSpace || full.Bytes <= before.Bytes || full.Bytes < smallQuota*9/10 {
		t.Fatalf("a full etcd returned %+v", full)
	}
	_, err := log.Append(t.Context(), []events.Event{eventstest.Event("host-1", 1)})
	if !errors.Is(err, eventlog.ErrNoSpace) {
		t.Errorf("appending returned %v, want ErrNoSpace", err)
	}

	server.Compact(t)
	var compacted eventlog.Capacity
	// etcd counts pages as free one commit later, and a commit needs a write: it still accepts deletions.
	for i := 0; ; i++ {
		if compacted = capacityOf(t, log); compacted.InUse < full.InUse/2 {
			break
		}
		if i == spare {
			t.Fatalf("compaction made %+v of %+v; most of it should be free", compacted, full)
		}
		if _, err := client.Delete(t.Context(), fmt.Sprint("/spare/", i)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !compacted.NoSpace || compacted.Bytes < full.Bytes {
		t.Errorf("compaction made %+v of %+v; it keeps size and alarm", compacted, full)
	}
	if _, err := client.Defragment(t.Context(), server.Endpoint()); err != nil {
		t.Fatal(err)
	}
	defragmented := capacityOf(t, log)
	if !defragmented.NoSpace || defragmented.Bytes >= full.Bytes {
		t.Errorf("defragmenting made %+v of %+v; it frees the unused space and keeps the alarm", defragmented, compacted)
	}
	alarms, err := client.AlarmList(t.Context())
	if err != nil || len(alarms.Alarms) != 1 || alarms.Alarms[0].Alarm != pb.AlarmType_NOSPACE {
		t.Fatalf("alarms: %v, %v", alarms, err)
	}
	if _, err := client.AlarmDisarm(t.Context(), (*clientv3.AlarmMember)(alarms.Alarms[0])); err != nil {
		t.Fatal(err)
	}
	if after := capacityOf(t, log); after.NoSpace {
		t.Errorf("disarmed, and still %+v", after)
	}
	if _, err := log.Append(t.Context(), []events.Event{eventstest.Event("host-1", 1)}); err != nil {
		t.Errorf("appending after all that: %v", err)
	}
}

// A member that is gone is counted; the answers of the others are enough.
func TestCapacityCountsTheMembersThatAnswer(t *testing.T) {
	t.Parallel()
	server := smallServer(t)
	cfg := server.Config(t)
	cfg.Endpoints += ",unix:///nowhere/at-all"
	log := eventstest.OpenLog(t, cfg)
	var c eventlog.Capacity
	err := errors.New("not asked")
	for limit := time.Second; err != nil && limit < time.Minute; limit *= 2 { // the missing member uses all the time there is
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		c, err = log.Capacity(ctx)
		cancel()
	}
	if err != nil || c.Unreachable != 1 || c.Quota != smallQuota || c.Endpoint != server.Endpoint() {
		t.Errorf("got %+v, %v; want the member that is there, and one unheard", c, err)
	}
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := log.Capacity(ctx); err == nil {
		t.Errorf("without any member: %+v, want an error", c)
	}
}
