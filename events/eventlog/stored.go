package eventlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
)

// eventOf returns the Event of a stored key. An unusable value becomes an event with Damage, so that one bad key
// never blocks the log.
func (l *Log) eventOf(kv *mvccpb.KeyValue) events.Event {
	key, e, err := l.decodeEvent(kv)
	if err != nil {
		e = events.Event{Host: key.Host, Damage: &events.DamageError{Value: kv.Value, Cause: err}}
	}
	e.Key, e.Revision = string(kv.Key), l.revisionAt(kv.ModRevision)
	return e
}

// decodeEvent reads a stored event and checks it against its key: a value under the key of another host would be
// folded by a collector that does not own that host.
func (l *Log) decodeEvent(kv *mvccpb.KeyValue) (events.Key, events.Event, error) {
	key, err := events.ParseKey(strings.TrimPrefix(string(kv.Key), l.cfg.Root+"/"))
	if err != nil {
		return events.Key{}, events.Event{}, err
	}
	if isOverwritten(kv) {
		return key, events.Event{}, fmt.Errorf("%w (it was created at revision %d)", events.ErrOverwritten, kv.CreateRevision)
	}
	e, err := l.codec.Decode(kv.Value)
	if err != nil {
		return key, events.Event{}, err
	}
	if e.Host != key.Host {
		return key, events.Event{}, fmt.Errorf("the key is of host %q, its records of host %q", key.Host, e.Host)
	}
	if p := events.PartitionOf(e.Host, l.facts.Partitions); p != key.Partition {
		return key, events.Event{}, fmt.Errorf("the key is in partition %d, host %q belongs to partition %d", key.Partition, e.Host, p)
	}
	return key, e, nil
}

// isOverwritten reports whether a key was written after it was created, which Append never does.
func isOverwritten(kv *mvccpb.KeyValue) bool {
	return kv.CreateRevision != kv.ModRevision || kv.Version > 1
}

func byRevisionAndKey(a, b *clientv3.Event) int {
	return cmp.Or(cmp.Compare(a.Kv.ModRevision, b.Kv.ModRevision), slices.Compare(a.Kv.Key, b.Kv.Key))
}
