package partition

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestIdentityIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "collector")
	first, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.storeLeases(7, 0x7fffffffffffffff); err != nil {
		t.Fatal(err)
	}
	if _, err := openIdentity(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("opening a directory in use: got %v, want ErrLocked that names it", err)
	}
	if err := first.unlockDir(); err != nil {
		t.Fatal(err)
	}
	second, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer second.unlockDir()
	if second.member != first.member {
		t.Errorf("got member %q after a restart, want %q", second.member, first.member)
	}
	if want := []clientv3.LeaseID{7, 0x7fffffffffffffff}; !slices.Equal(second.leases, want) {
		t.Errorf("got leases %v, want %v", second.leases, want)
	}
}

func TestIdentityOfDamagedFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"member": "../x", "leases": "no lease\nff\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id, err := openIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer id.unlockDir()
	if !validMember(id.member) {
		t.Errorf("got member %q, want a new id", id.member)
	}
	if want := []clientv3.LeaseID{0xff}; !slices.Equal(id.leases, want) {
		t.Errorf("got leases %v, want %v", id.leases, want)
	}
}

func TestEphemeralIdentities(t *testing.T) {
	a, errA := openIdentity("")
	b, errB := openIdentity("")
	if errA != nil || errB != nil || a.member == b.member {
		t.Errorf("got members %v and %v (%v, %v), want two different ones", a, b, errA, errB)
	}
	if err := errors.Join(a.unlockDir(), b.unlockDir()); err != nil {
		t.Error(err)
	}
}
