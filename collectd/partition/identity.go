package partition

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// identity is a collector's member id, stored in its data directory, which a lock keeps to one process, and the
// leases that earlier processes of this member may have left behind.
type identity struct {
	member string
	dir    string // "" when nothing is stored
	lock   *flock.Flock
	leases []clientv3.LeaseID // not known to be gone, oldest first
}

// openIdentity locks dir and reads or creates the member id. With an empty dir the id is valid for this process
// alone.
func openIdentity(dir string) (*identity, error) {
	if dir == "" {
		return &identity{member: newMember()}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the collector's data directory: %w", err)
	}
	id := &identity{dir: dir, lock: flock.New(filepath.Join(dir, "lock"))}
	locked, err := id.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the collector's data directory %s: %w", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("opening %s: %w", dir, ErrLocked)
	}
	if err := id.loadFiles(); err != nil {
		return nil, errors.Join(err, id.unlockDir())
	}
	return id, nil
}

func (id *identity) loadFiles() error {
	text, err := id.readFile("member")
	if err != nil {
		return err
	}
	if id.member = strings.TrimSpace(text); !validMember(id.member) { // none yet, or cut short by a crash
		id.member = newMember()
		if err := id.writeFile("member", id.member+"\n"); err != nil {
			return err
		}
	}
	if text, err = id.readFile("leases"); err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		// A damaged line is skipped: its lease expires by itself.
		if n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 64); err == nil {
			id.leases = append(id.leases, clientv3.LeaseID(n))
		}
	}
	return nil
}

// storeLeases stores the leases that are not known to be gone.
func (id *identity) storeLeases(leases ...clientv3.LeaseID) error {
	id.leases = leases
	if id.dir == "" {
		return nil
	}
	var text strings.Builder
	for _, lease := range leases {
		fmt.Fprintf(&text, "%x\n", int64(lease))
	}
	return id.writeFile("leases", text.String())
}

func (id *identity) unlockDir() error {
	if id.lock == nil {
		return nil
	}
	return id.lock.Unlock()
}

func (id *identity) readFile(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(id.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the collector's %s file: %w", name, err)
	}
	return string(text), nil
}

// writeFile replaces a file as a whole, so that a crash leaves the old or the new one.
func (id *identity) writeFile(name, text string) error {
	path := filepath.Join(id.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the collector's %s file: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("replacing the collector's %s file: %w", name, err)
	}
	return nil
}

const memberBytes = 8

func newMember() string {
	var b [memberBytes]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func validMember(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == memberBytes
}
