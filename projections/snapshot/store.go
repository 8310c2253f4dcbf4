package snapshot

import (
	"log/slog"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

// Store reads and writes the projections of one cluster. Safe for concurrent use.
type Store struct {
	kv      clientv3.KV
	watcher etcd.Watcher
	keys    keys
	cfg     eventlog.Config
	facts   events.Facts
	codec   codec
	lg      *slog.Logger
	metrics *metrics
	space   fullness

	marks *marks

	mu    sync.Mutex
	links map[slot]link // what is known to be stored
}

// slot is a partition in a generation.
type slot struct {
	generation projections.Generation
	partition  events.Partition
}

// New makes a store on a client that the caller keeps and closes. facts are the log's.
func New(client *clientv3.Client, cfg eventlog.Config, facts events.Facts, lg *slog.Logger) *Store {
	return newStore(client, client, cfg, facts, lg)
}

func newStore(kv clientv3.KV, w etcd.Watcher, cfg eventlog.Config, facts events.Facts, lg *slog.Logger) *Store {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Store{
		kv: kv, watcher: w, keys: keys{cfg}, cfg: cfg, facts: facts, codec: newCodec(), lg: lg,
		metrics: newMetrics(), marks: newMarks(), links: make(map[slot]link),
	}
}

// at makes a position of an etcd revision.
func (s *Store) at(number int64) events.Revision {
	return events.Revision{Epoch: s.facts.Epoch, Cluster: s.facts.Cluster, Number: number}
}

// ours tells whether r is a position of this store's log, or the beginning of any.
func (s *Store) ours(r events.Revision) bool {
	return r == events.Revision{} || r.SameLog(s.at(0))
}
