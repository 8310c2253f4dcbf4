package eventlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"telemetry-pipeline/events"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// event makes an Event of what etcd holds. What cannot be used comes back as Damage, so that one bad key
// never holds up the log.
func (l *Log) event(kv *mvccpb.KeyValue) events.Event {
	key, e, err := l.decode(kv)
	if err != nil {
		e = events.Event{Host: key.Host, Damage: &events.DamageError{Value: kv.Value, Cause: err}}
	}
	e.Key, e.Revision = string(kv.Key), l.at(kv.ModRevision)
	return e
}

// decode reads a stored event and checks it against its key: a value under the key of another host would be
// folded by somebody who does not own that host.
func (l *Log) decode(kv *mvccpb.KeyValue) (events.Key, events.Event, error) {
	key, err := events.ParseKey(strings.TrimPrefix(string(kv.Key), l.cfg.Root+"/"))
	if err != nil {
		return events.Key{}, events.Event{}, err
	}
	if overwritten(kv) {
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

// overwritten tells that a key was written after it was created, which Append never does.
func overwritten(kv *mvccpb.KeyValue) bool {
	return kv.CreateRevision != kv.ModRevision || kv.Version > 1
}

func byRevisionAndKey(a, b *clientv3.Event) int {
	return cmp.Or(cmp.Compare(a.Kv.ModRevision, b.Kv.ModRevision), slices.Compare(a.Kv.Key, b.Kv.Key))
}
