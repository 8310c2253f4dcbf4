package manifest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
)

// silentOnce is an etcd of which one member answers nothing: the first request goes there, the next one to another.
type silentOnce struct {
	clientv3.KV
	asked int
}

func (s *silentOnce) Get(ctx context.Context, _ string, _ ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	if s.asked++; s.asked == 1 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &clientv3.GetResponse{}, nil
}

// A query that needs the archive is not held up until the connection to a silent member of etcd is found dead.
func TestAReadOfTheManifestSoonLeavesASilentMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etcd := &silentOnce{}
		m := &Manifest{kv: etcd, keys: keys{eventlog.Config{}}}
		began := time.Now()
		if _, err := m.Load(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); etcd.asked != 2 || took > 3*time.Second {
			t.Errorf("got an answer after %s and %d requests, want 2 requests within 3s", took, etcd.asked)
		}
	})
}
