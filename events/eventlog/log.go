package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// Log is the event log of one cluster in etcd. Safe for concurrent use.
type Log struct {
	cfg         Config // with defaults
	facts       events.Facts
	storedFacts []byte // the facts as they are in etcd, to see a change

	kv      clientv3.KV      // appends and reads
	watches *clientv3.Client // of its own, so that watched events never wait behind an append
	clients []*clientv3.Client

	codec   *events.Codec
	values  sync.Pool  // of *[]byte, for the values of events being encoded
	commits *committer // the requests of all Appends
	silence etcd.Silence
}

// Open connects to etcd, and creates or checks the cluster's Facts. It tries for Config.DialTimeout, and refuses
// settings that contradict the facts (FactsError).
func Open(ctx context.Context, cfg Config, lg *slog.Logger) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := cfg.checkSettings(); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	codec, err := events.NewCodec()
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	l := &Log{cfg: cfg, codec: codec, silence: cfg.Silence()}
	l.commits = newCommitter(func(ctx context.Context, r *appendRequest) { l.createEvents(ctx, r.entries, false) })
	if err := l.connect(ctx, lg); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the log of %s: %w", cfg.ClusterID, err), l.Close())
	}
	lg.Info("log open", "cluster", cfg.ClusterID, "endpoints", cfg.Endpoints, "epoch", fmt.Sprintf("%016x", uint64(l.facts.Epoch)),
		"partitions", l.facts.Partitions)
	return l, nil
}

func (l *Log) connect(ctx context.Context, lg *slog.Logger) error {
	for range 2 {
		client, err := l.cfg.Dial(lg)
		if err != nil {
			return err
		}
		l.clients = append(l.clients, client)
	}
	l.kv, l.watches = l.clients[0], l.clients[1]

	within, cancel := context.WithTimeoutCause(ctx, l.cfg.DialTimeout,
		fmt.Errorf("etcd at %s gave no answer within %s; is it running, and is -etcd.endpoints (ETCD_ENDPOINTS) right?",
			l.cfg.Endpoints, l.cfg.DialTimeout))
	defer cancel()
	var err error
	l.facts, l.storedFacts, err = loadFacts(within, l.kv, l.cfg)
	if err != nil && within.Err() != nil {
		return errors.Join(err, l.cfg.CheckHandshake(ctx))
	}
	return l.cfg.ExplainRefusal(err)
}

// Facts returns the settings that were fixed at first use.
func (l *Log) Facts() events.Facts { return l.facts }

// Close closes the log's clients; calls in flight fail.
func (l *Log) Close() error {
	l.commits.close()
	var errs []error
	for _, c := range l.clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// Head returns the log's newest revision, linearizably. It fails with ErrForeign when etcd holds another log than the
// one that was opened, as after a restore.
func (l *Log) Head(ctx context.Context) (events.Revision, error) {
	key := l.cfg.Key("config")
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return l.kv.Get(ctx, key) })
	if err != nil {
		return events.Revision{}, fmt.Errorf("asking etcd for the head of the log: %w", err)
	}
	if err := l.checkHeader(resp.Header); err != nil {
		return events.Revision{}, err
	}
	if len(resp.Kvs) == 0 {
		return events.Revision{}, fmt.Errorf("asking etcd for the head of the log: %s: %w", key, errNoFacts)
	}
	if !bytes.Equal(resp.Kvs[0].Value, l.storedFacts) {
		return events.Revision{}, fmt.Errorf("the facts in %s are %s now and were %s when this process started; restart it: %w",
			key, resp.Kvs[0].Value, l.storedFacts, events.ErrForeign)
	}
	return l.revisionAt(resp.Header.Revision), nil
}

// partitionPrefix returns the prefix of the keys of a partition's events.
func (l *Log) partitionPrefix(p events.Partition) string {
	return l.cfg.Root + "/" + events.PartitionPrefix(l.cfg.ClusterID, p)
}

// revisionAt returns a revision of this log.
func (l *Log) revisionAt(number int64) events.Revision {
	return events.Revision{Epoch: l.facts.Epoch, Cluster: l.facts.Cluster, Number: number}
}

// checkHeader returns ErrForeign if another etcd answers than the one that was opened.
func (l *Log) checkHeader(h *pb.ResponseHeader) error {
	if h.GetClusterId() != l.facts.Cluster {
		return fmt.Errorf("etcd at %s is cluster %x now and was %x when this process started; restart it: %w",
			l.cfg.Endpoints, h.GetClusterId(), l.facts.Cluster, events.ErrForeign)
	}
	return nil
}

// checkPosition refuses a position of another log. The zero position is the beginning of any log.
func (l *Log) checkPosition(r events.Revision) error {
	if r != (events.Revision{}) && !r.SameLog(l.revisionAt(0)) {
		return fmt.Errorf("position %d of epoch %016x, etcd cluster %x; the log is epoch %016x, etcd cluster %x: %w",
			r.Number, uint64(r.Epoch), r.Cluster, uint64(l.facts.Epoch), l.facts.Cluster, events.ErrForeign)
	}
	return nil
}
