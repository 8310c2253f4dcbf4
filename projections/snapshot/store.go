package snapshot

import (
	"log/slog"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/cache"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

// Store reads and writes the projections of one cluster. Safe for concurrent use.
type Store struct {
	kv         clientv3.KV
	newWatcher etcd.NewWatcher
	keys       keys
	cfg        eventlog.Config
	facts      events.Facts
	codec      codec
	lg         *slog.Logger
	metrics    *metrics
	space      spaceState

	txnIDs *txnIDs
	chunks *cache.Cache[string, *projections.StoredWindow] // nil: ReadChunks keeps nothing

	mu    sync.Mutex
	links map[partitionID]link // the stored links, as far as this store knows them
}

// partitionID is a partition in a generation.
type partitionID struct {
	generation projections.Generation
	partition  events.Partition
}

// New returns a store on a client that the caller keeps and closes. facts are the log's.
func New(client *clientv3.Client, cfg eventlog.Config, facts events.Facts, lg *slog.Logger) *Store {
	return newStore(client, etcd.Watchers(client), cfg, facts, lg)
}

func newStore(kv clientv3.KV, w etcd.NewWatcher, cfg eventlog.Config, facts events.Facts, lg *slog.Logger) *Store {
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Store{
		kv: kv, newWatcher: w, keys: keys{cfg}, cfg: cfg, facts: facts, codec: newCodec(), lg: lg,
		metrics: newMetrics(), txnIDs: newTxnIDs(), links: make(map[partitionID]link),
	}
}

// revisionAt returns the position of an etcd revision.
func (s *Store) revisionAt(number int64) events.Revision {
	return events.Revision{Epoch: s.facts.Epoch, Cluster: s.facts.Cluster, Number: number}
}

// isOwnRevision reports whether r is a position of this store's log, or the beginning of any log.
func (s *Store) isOwnRevision(r events.Revision) bool {
	return r == events.Revision{} || r.SameLog(s.revisionAt(0))
}
