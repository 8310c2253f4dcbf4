package program

import (
	"net/http"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// An alarm outlives the process. A restart, which defragments, is all that a person can do without tools, so
// it has to be enough where there is room.
func TestRestartTakesUploadsAgainAfterEtcdWasOutOfSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStack(t, dir)
	s.mustUpload("before.csv", simulated(t, 1, 1))
	client, err := s.settings.store.Dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raise := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: memberID(t, client)}
	if _, err := pb.NewMaintenanceClient(client.ActiveConnection()).Alarm(t.Context(), raise); err != nil {
		t.Fatal(err)
	}
	if status, r := s.upload("full.csv", simulated(t, 2, 2), ""); status != http.StatusServiceUnavailable || r.Code != "log_full" {
		t.Fatalf("upload while etcd has its alarm: %d %+v", status, r)
	}
	s.stop()
	startStack(t, dir).mustUpload("full.csv", simulated(t, 2, 2))
}

func memberID(t *testing.T, client *clientv3.Client) uint64 {
	t.Helper()
	members, err := client.MemberList(t.Context())
	if err != nil || len(members.Members) != 1 {
		t.Fatalf("members: %v, %v", members, err)
	}
	return members.Members[0].ID
}
