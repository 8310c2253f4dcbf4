package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAFullDiskLosesTheOldestSnapshots writes a snapshot to a file system that is too small for it beside the others.
func TestAFullDiskLosesTheOldestSnapshots(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted (it needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"snapshot-20250101T000000Z.db", "snapshot-20250102T000000Z.db", "snapshot-20250103T000000Z.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 250<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := bytes.Repeat([]byte("x"), 700<<10)
	sum := sha256.Sum256(whole)
	whole = append(whole, sum[:]...)
	makeRoom := func() (bool, error) { return removeOldest(dir, io.Discard) }
	partial := filepath.Join(dir, partialName)
	if size, err := writeSnapshot(partial, bytes.NewReader(whole), makeRoom); err != nil || size != int64(len(whole)) {
		t.Fatalf("got %d bytes, %v", size, err)
	}
	if got, err := os.ReadFile(partial); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("the snapshot is not as it was sent (%v)", err)
	}
	left, err := listSnapshots(dir)
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "snapshot-20250103T000000Z.db" {
		t.Errorf("left are %v, %v; want the newest", left, err)
	}
	// The only one that is there stays, although there is no room for another.
	large := append(bytes.Repeat([]byte("y"), 2<<20), sum[:]...)
	if _, err := writeSnapshot(partial, bytes.NewReader(large), makeRoom); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("too large a snapshot: %v", err)
	}
	if left, err := listSnapshots(dir); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}
