package events

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// tagAside begins a value that a foreign producer wrote and that cannot be used: a line of JSON that says where it was
// and what is wrong with it, then the value as it was. It is text, so that a person gets the value back with tail -n +2.
const tagAside = '#'

// aside is that line.
type aside struct {
	Key    string `json:"foreign_key"`
	Reason string `json:"reason"`
}

// AsideError is the damage of an event that SetAside made.
type AsideError struct {
	Key    string // where the producer had written it
	Reason string
}

func (e *AsideError) Error() string {
	return fmt.Sprintf("a foreign producer wrote it to %.300q, and it cannot be used: %s", e.Key, e.Reason)
}

// encodeAside returns the value of an event that keeps what was written to a foreign key.
func encodeAside(key, reason string, written []byte) (string, error) {
	line, err := json.Marshal(aside{Key: key, Reason: reason})
	return string(tagAside) + string(line) + "\n" + string(written), err
}

// decodeAside gives why a value that was set aside is no event.
func decodeAside(value []byte) error {
	line, _, _ := bytes.Cut(value[1:], []byte("\n"))
	var a aside
	if err := json.Unmarshal(line, &a); err != nil {
		return fmt.Errorf("decoding what was set aside: %w", err)
	}
	return &AsideError{Key: a.Key, Reason: a.Reason}
}

// SetAside moves what a foreign producer wrote, as it is, to where the events of host are, in one transaction under guards.
// It is found there as an event that cannot be used, for the reason given, and is kept like any other. at and host
// name its key, and may be zero.
//
// The key depends on what was written and where alone, so doing it again does no harm. What was written again or is gone is
// left alone. Guards that do not hold are ErrFenced, and a value that does not fit into a request with its line is
// a TooLargeError.
func (l *Log) SetAside(ctx context.Context, f Foreign, at Timestamp, host HostID, reason string, guards ...clientv3.Cmp) error {
	if err := l.checkPosition(f.Revision); err != nil {
		return err
	}
	key := l.cfg.Root + "/" + asideKey(l.cfg.ClusterID, l.facts.Partitions, f, at, host).String()
	value, err := encodeAside(f.Key, reason, f.Value)
	if err != nil {
		return fmt.Errorf("setting %.200q aside: %w", f.Key, err)
	}
	same := clientv3.Compare(clientv3.ModRevision(f.Key), "=", f.Revision.Number)
	create := clientv3.OpTxn([]clientv3.Cmp{same, clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
		[]clientv3.Op{clientv3.OpPut(key, value), clientv3.OpDelete(f.Key)},
		[]clientv3.Op{clientv3.OpGet(key, clientv3.WithKeysOnly())})
	resp, err := retry(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).If(guards...).Then(create).Commit()
	})
	switch {
	case tooLarge(err):
		return &TooLargeError{Host: host, Key: key, Bytes: len(key) + len(value)}
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("setting %.200q aside: %w: %w", f.Key, ErrNoSpace, err)
	case err != nil:
		return fmt.Errorf("setting %.200q aside: %w", f.Key, err)
	case !resp.Succeeded:
		return ErrFenced
	}
	one := resp.Responses[0].GetResponseTxn()
	if one.GetSucceeded() || len(one.Responses) == 0 || len(one.Responses[0].GetResponseRange().GetKvs()) == 0 {
		return nil
	}
	// It is there already: an answer was lost, or the producer wrote the same again.
	_, err = l.Remove(ctx, []Ref{f.Ref}, func(context.Context) bool { return true }, guards...)
	return err
}

// asideKey is where a value is set aside.
func asideKey(cluster string, partitions int, f Foreign, at Timestamp, host HostID) Key {
	content := appendText(nil, f.Name)
	content = binary.AppendUvarint(content, uint64(len(f.Value)))
	content = append(content, f.Value...)
	return Key{
		Cluster: cluster, Partition: PartitionOf(host, partitions), At: at, Host: host,
		Sequence: Sequence(xxh3.Hash128(content).Bytes()),
	}
}
