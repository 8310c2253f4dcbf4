// Package snapshot keeps projections in etcd.
//
// In: a host's models, the position they reflect, guards. Out: the same later, and changes to follow. It never folds, and
// never lets two partitions write one key.
package snapshot

import (
	"context"
	"errors"
	"iter"
	"log/slog"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// ErrFenced refuses a Save whose guard did not hold: the writer has lost its claim and stops.
var ErrFenced = errors.New("saving projections: claim lost")

// Store reads and writes the projections of one cluster. Safe for concurrent use.
type Store struct{}

// New makes a store on a client that the caller keeps and closes. facts are the log's.
func New(client *clientv3.Client, cfg events.Config, facts events.Facts, lg *slog.Logger) *Store {
	panic("contract")
}

// Active gives the active generation, creating the first one if there is none. Watched by WatchActive.
func (s *Store) Active(ctx context.Context) (projections.Generation, error) { panic("contract") }

// Partition is what is stored of one partition.
type Partition struct {
	Hosts   []projections.Host
	Offsets projections.Offsets
}

// LoadPartition reads live, identity and offsets of a partition. Read it after claiming.
func (s *Store) LoadPartition(ctx context.Context, g projections.Generation, p events.Partition) (Partition, error) {
	panic("contract")
}

// Commit is what one Save writes. It may span several transactions; identities go first, then live, then chunks, and Offsets in the
// last one, so that an offset never runs ahead of what it covers. Each transaction carries the guards.
type Commit struct {
	Live     map[events.HostID]*projections.Live
	Identity map[events.HostID]*projections.Identity
	Chunks   []Chunk
	Offsets  *projections.Offsets
	Upload   events.UploadID // correlation id kept in the envelope
}

// Chunk is a piece of one window's history of one host, appended and never rewritten.
type Chunk struct {
	Host   events.HostID
	Window projections.Window
	Series projections.Series
}

// Save writes a commit under guards. ErrFenced means that nothing of the failing transaction was written.
func (s *Store) Save(ctx context.Context, g projections.Generation, p events.Partition, c Commit, guards ...clientv3.Cmp) error {
	panic("contract")
}

// Series reads and unites the chunks of windows of one host, linearizably; in order of windows. Windows without chunks are left out.
func (s *Store) Series(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, windows []projections.Window) ([]WindowSeries, error) {
	panic("contract")
}

// WindowSeries is the history of one host in one window.
type WindowSeries struct {
	Window projections.Window
	Series projections.Series
}

// Load reads all live, identity models and offsets of a generation and the position that they reflect.
func (s *Store) Load(ctx context.Context, g projections.Generation) (projections.Batch, error) {
	panic("contract")
}

// Watch follows live, identity and offsets of a generation after a position. Batches are whole transactions. The
// sequence ends with an error; events.ErrCompacted and events.ErrOverflow mean Load again.
func (s *Store) Watch(ctx context.Context, g projections.Generation, after events.Revision) iter.Seq2[projections.Batch, error] {
	panic("contract")
}

// WatchActive gives the active generation, now and whenever it changes.
func (s *Store) WatchActive(ctx context.Context) iter.Seq2[projections.Generation, error] {
	panic("contract")
}

// Offsets reads the offsets of all partitions of a generation, and WatchOffsets follows them.
func (s *Store) Offsets(ctx context.Context, g projections.Generation) (map[events.Partition]projections.Offsets, error) {
	panic("contract")
}
