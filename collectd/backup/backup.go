package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"telemetry-pipeline/events/eventlog"
)

// Config configures the command.
type Config struct {
	Dir  string // of the snapshots; it exists
	Keep int    // snapshots that stay, the new one included
	List bool   // list the snapshots that are there, and save none
}

// Flags registers the flags dir, keep and list.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Dir, "dir", c.Dir, "directory for snapshots, which exists")
	fs.IntVar(&c.Keep, "keep", 48, "snapshots in dir that stay, the new one included; older ones are removed")
	fs.BoolVar(&c.List, "list", false, "list the snapshots in dir, the oldest first, and whether each is whole; save none")
}

// CheckFlags refuses settings that cannot work, by the name of the flag.
func (c Config) CheckFlags() error {
	if c.Dir == "" {
		return errors.New("flag dir is needed: name a directory for snapshots")
	}
	if c.Keep < 1 {
		return fmt.Errorf("flag keep is %d; at least the new snapshot stays", c.Keep)
	}
	return nil
}

const (
	namePattern = "snapshot-????????T??????Z.db" // sorted by name is sorted by time
	nameLayout  = "snapshot-20060102T150405Z.db"
	partialName = "snapshot.partial" // of one that was not finished; the next run writes over it
	pageBytes   = 512                // etcd's file is a multiple of it, and its hash follows
)

// Run saves a snapshot of the etcd at root, removes snapshots beyond Config.Keep, and writes the name and size of the new one
// to out; with Config.List it writes a line about each that is there instead. While the disk is full it removes the oldest, but never the newest that is there. After another error the older ones are
// as they were.
func Run(ctx context.Context, cfg Config, root eventlog.Config, out io.Writer, lg *slog.Logger) error {
	if err := cfg.CheckFlags(); err != nil {
		return err
	}
	if cfg.List {
		return printSnapshots(cfg.Dir, out)
	}
	client, err := root.Dial(lg)
	if err != nil {
		return err
	}
	defer client.Close()
	text, err := client.Snapshot(ctx)
	if err != nil {
		return root.ExplainRefusal(fmt.Errorf("asking etcd for a snapshot: %w", err))
	}
	defer text.Close()
	partial := filepath.Join(cfg.Dir, partialName)
	size, err := writeSnapshot(partial, text, func() (bool, error) { return removeOldest(cfg.Dir, out) })
	if err != nil {
		return root.ExplainRefusal(fmt.Errorf("saving the snapshot to %s: %w", partial, err))
	}
	path := filepath.Join(cfg.Dir, time.Now().UTC().Format(nameLayout))
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d bytes\n", path, size)
	return removeOlder(cfg, out)
}

// roomyWriter writes to a file. While the disk is full it calls makeRoom, which reports whether it freed something.
type roomyWriter struct {
	f        *os.File
	makeRoom func() (bool, error)
}

func (w roomyWriter) Write(p []byte) (n int, err error) {
	for {
		written, err := w.f.Write(p[n:])
		n += written
		if !errors.Is(err, syscall.ENOSPC) {
			return n, err
		}
		if freed, failed := w.makeRoom(); failed != nil || !freed {
			return n, errors.Join(err, failed)
		}
	}
}

// writeSnapshot writes a snapshot to a file, verifies the hash at its end, and returns its size once the disk has it.
func writeSnapshot(path string, text io.Reader, makeRoom func() (bool, error)) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size, err = io.Copy(roomyWriter{f, makeRoom}, text); err != nil {
		return size, err
	}
	if err := checkHash(f, size); err != nil {
		return size, err
	}
	return size, f.Sync()
}

// checkHash compares the hash that etcd puts behind its file with the file.
func checkHash(f io.ReaderAt, size int64) error {
	if size < pageBytes || size%pageBytes != sha256.Size {
		return fmt.Errorf("it has %d bytes, which no whole snapshot has: the connection ended early", size)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size-sha256.Size)); err != nil {
		return err
	}
	var want [sha256.Size]byte
	if _, err := f.ReadAt(want[:], size-sha256.Size); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return errors.New("its content does not have the hash that etcd sent with it")
	}
	return nil
}

// listSnapshots returns the paths of the snapshots in a directory, the oldest first. Files of other names are left out.
func listSnapshots(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, namePattern))
	slices.Sort(all)
	return all, err
}

// printSnapshots writes a line about each snapshot in a directory, the oldest first.
func printSnapshots(dir string, out io.Writer) error {
	all, err := listSnapshots(dir)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("there is no snapshot in %s", dir)
	}
	for _, path := range all {
		size, err := checkSnapshot(path)
		state := "whole"
		if err != nil {
			state = err.Error()
		}
		if _, err := fmt.Fprintf(out, "%s: %d bytes, %s\n", path, size, state); err != nil {
			return err
		}
	}
	return nil
}

// checkSnapshot returns the size of a snapshot, and an error unless it is whole.
func checkSnapshot(path string) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), checkHash(f, info.Size())
}

// removeOlder removes the oldest snapshots beyond Config.Keep.
func removeOlder(cfg Config, out io.Writer) error {
	all, err := listSnapshots(cfg.Dir)
	if err != nil {
		return err
	}
	for _, path := range all[:max(0, len(all)-cfg.Keep)] {
		if err := removeSnapshot(path, out); err != nil {
			return err
		}
	}
	return nil
}

// removeOldest removes the oldest snapshot unless it is the only one, and reports whether it did.
func removeOldest(dir string, out io.Writer) (bool, error) {
	all, err := listSnapshots(dir)
	if err != nil || len(all) < 2 {
		return false, err
	}
	return true, removeSnapshot(all[0], out)
}

func removeSnapshot(path string, out io.Writer) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing an old snapshot: %w", err)
	}
	fmt.Fprintf(out, "%s: removed\n", path)
	return nil
}
