package eventlog_test

import (
	"context"
	"errors"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

// TestRights opens and reads a log as a user with read permission only.
func TestRights(t *testing.T) {
	s := eventstest.NewServer(t, nil)
	cfg := s.Config(t)
	if _, err := eventstest.OpenLog(t, cfg).Append(t.Context(), eventstest.Events("h1", 0, 5)); err != nil {
		t.Fatal(err)
	}
	admin := s.Client(t)
	end := clientv3.GetPrefixRangeEnd(cfg.Root + "/")
	for _, do := range []func(ctx context.Context) error{
		func(ctx context.Context) error { _, err := admin.UserAdd(ctx, "root", "secret"); return err },
		func(ctx context.Context) error { _, err := admin.RoleAdd(ctx, "root"); return err },
		func(ctx context.Context) error { _, err := admin.UserGrantRole(ctx, "root", "root"); return err },
		func(ctx context.Context) error { _, err := admin.UserAdd(ctx, "queryd", "pass"); return err },
		func(ctx context.Context) error { _, err := admin.RoleAdd(ctx, "reader"); return err },
		func(ctx context.Context) error {
			_, err := admin.RoleGrantPermission(ctx, "reader", cfg.Root+"/", end, clientv3.PermissionType(clientv3.PermRead))
			return err
		},
		func(ctx context.Context) error { _, err := admin.UserGrantRole(ctx, "queryd", "reader"); return err },
		func(ctx context.Context) error { _, err := admin.AuthEnable(ctx); return err },
	} {
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Username, cfg.Password = "queryd", "pass"
	l := eventstest.OpenLog(t, cfg)
	p := events.PartitionOf("h1", l.Facts().Partitions)
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range l.Read(t.Context(), p, events.Revision{}, head) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("got %d events, want 5", n)
	}
	if _, err := l.Append(t.Context(), eventstest.Events("h1", 5, 1)); !errors.Is(err, rpctypes.ErrPermissionDenied) {
		t.Errorf("Append without the right: got %v, want %v", err, rpctypes.ErrPermissionDenied)
	}
	cfg.Password = "wrong"
	if l, err := eventlog.Open(t.Context(), cfg, nil); err == nil {
		l.Close()
		t.Error("opened with a wrong password")
	}
}
