package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// offsetsValue is the stored form of Offsets. Epoch and cluster are hexadecimal text, since JSON numbers
// lose digits.
type offsetsValue struct {
	Epoch   string             `json:"epoch"`
	Cluster string             `json:"cluster"`
	Live    int64              `json:"live"`
	Series  int64              `json:"series"`
	HotFrom projections.Window `json:"hot_from"`
	Records int64              `json:"records,omitempty"`
	TxnID   string             `json:"mark"` // identifies the transaction that wrote the value
}

// packOffsets keeps the epoch and cluster of o, which belong to another log if the commit did not change them.
func (s *Store) packOffsets(o projections.Offsets, txnID string) string {
	log := o.Live
	switch {
	case log.Number == 0 && o.Series.Number == 0:
		log = s.revisionAt(0)
	case log.Number == 0:
		log = o.Series
	}
	value, err := json.Marshal(offsetsValue{
		Epoch:   strconv.FormatUint(uint64(log.Epoch), 16),
		Cluster: strconv.FormatUint(log.Cluster, 16),
		Live:    o.Live.Number, Series: o.Series.Number, HotFrom: o.HotFrom, Records: o.Records, TxnID: txnID,
	})
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	return string(value)
}

// unpackOffsets keeps the stored epoch and cluster, so that a reader that continues from them notices another log.
func unpackOffsets(kv *mvccpb.KeyValue) (projections.Offsets, error) {
	var v offsetsValue
	err := events.DecodeStoredJSON(kv.Value, &v)
	epoch, err2 := strconv.ParseUint(v.Epoch, 16, 64)
	cluster, err3 := strconv.ParseUint(v.Cluster, 16, 64)
	for _, err := range []error{err, err2, err3} {
		if err != nil {
			return projections.Offsets{}, &DamagedError{Key: string(kv.Key), Err: err}
		}
	}
	at := func(number int64) events.Revision {
		if number == 0 {
			return events.Revision{}
		}
		return events.Revision{Epoch: events.Epoch(epoch), Cluster: cluster, Number: number}
	}
	return projections.Offsets{Live: at(v.Live), Series: at(v.Series), HotFrom: v.HotFrom, Records: v.Records}, nil
}

// Offsets returns the offsets of all partitions of a generation. WatchOffsets follows them.
func (s *Store) Offsets(ctx context.Context, g projections.Generation) (map[events.Partition]projections.Offsets, error) {
	all, _, err := s.offsetsAt(ctx, g, 0)
	return all, err
}

// offsetsAt returns the offsets at a revision (0: the newest), and that revision.
func (s *Store) offsetsAt(ctx context.Context, g projections.Generation, rev int64) (map[events.Partition]projections.Offsets, int64, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, s.keys.offsetsPrefix(g), clientv3.WithPrefix(), clientv3.WithRev(rev))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading offsets of generation %s: %w", g, err)
	}
	all := make(map[events.Partition]projections.Offsets, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		if err := s.putOffsets(all, g, kv); err != nil {
			return nil, 0, err
		}
	}
	return all, resp.Header.Revision, nil
}

func (s *Store) putOffsets(all map[events.Partition]projections.Offsets, g projections.Generation, kv *mvccpb.KeyValue) error {
	p, err := s.keys.parseOffset(g, string(kv.Key))
	if err != nil {
		return &DamagedError{Key: string(kv.Key), Err: err}
	}
	all[p], err = unpackOffsets(kv)
	return err
}
