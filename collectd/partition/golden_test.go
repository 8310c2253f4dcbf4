package partition

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/goldentest"
)

func TestStoredMembersAndOwners(t *testing.T) {
	members := map[string]memberValue{
		"member":      {Host: "vm", PID: 32738, StartedAt: time.Date(2025, 7, 18, 20, 42, 35, 1, time.UTC), ModelVersion: "1"},
		"member-bare": {},
	}
	for name, m := range members {
		value, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, string(value))
	}
	goldentest.CheckReadable(t, "member", 1, members, func(value []byte) (m memberValue, err error) {
		err = json.Unmarshal(value, &m)
		return m, err
	})
	k := keysOf(eventlog.Config{ClusterID: "a/b_c"}, "g/1")
	goldentest.CheckWrittenText(t, "keys", 1, strings.Join([]string{k.members, k.owners, k.ownerOf(36)}, "\n"))
}

// TestStoredIdentity pins the files of a collector's data directory.
func TestStoredIdentity(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	id := &identity{dir: dir}
	if err := id.writeFile("member", "60bd603f8db2c1e4\n"); err != nil {
		t.Fatal(err)
	}
	if err := id.storeLeases(0x694d9c2f11aa0701, 7); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"member", "leases"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	goldentest.CheckWrittenText(t, "file-leases", 1, strings.TrimSuffix(files["leases"], "\n"))
	opened, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if opened.member != "60bd603f8db2c1e4" || len(opened.leases) != 2 || opened.leases[0] != clientv3.LeaseID(0x694d9c2f11aa0701) || opened.leases[1] != 7 {
		t.Errorf("identity is read as member %s, leases %x", opened.member, opened.leases)
	}
	if err := opened.unlockDir(); err != nil {
		t.Fatal(err)
	}
}
