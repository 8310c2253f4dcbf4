package eventlog

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// MoveToDeadLetters moves a foreign producer's value, unchanged, to the events of host, in one transaction under
// guards. There it is an unusable event with the given reason as its cause, and is kept like any other event. at and
// host name its key, and may be zero.
//
// The key depends on the foreign key and value alone, so a repeated call does no harm. A foreign key that was written
// again or is gone is left alone. Guards that do not hold return ErrFenced; a value that does not fit into a request
// with its line returns a TooLargeError.
func (l *Log) MoveToDeadLetters(ctx context.Context, f Foreign, at events.Timestamp, host events.HostID, reason string, guards ...clientv3.Cmp) error {
	if err := l.checkPosition(f.Revision); err != nil {
		return err
	}
	key := l.cfg.Root + "/" + events.DeadLetterKey(l.cfg.ClusterID, l.facts.Partitions, f.Name, f.Value, at, host).String()
	letter, err := events.EncodeDeadLetter(f.Key, reason, f.Value)
	if err != nil {
		return err
	}
	value := string(letter)
	same := clientv3.Compare(clientv3.ModRevision(f.Key), "=", f.Revision.Number)
	create := clientv3.OpTxn([]clientv3.Cmp{same, clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
		[]clientv3.Op{clientv3.OpPut(key, value), clientv3.OpDelete(f.Key)},
		[]clientv3.Op{clientv3.OpGet(key, clientv3.WithKeysOnly())})
	resp, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (*clientv3.TxnResponse, error) {
		return l.kv.Txn(ctx).If(guards...).Then(create).Commit()
	})
	switch {
	case tooLarge(err):
		return &TooLargeError{Host: host, Key: key, Bytes: len(key) + len(value)}
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("moving %.200q to the dead letters: %w: %w", f.Key, ErrNoSpace, err)
	case err != nil:
		return fmt.Errorf("moving %.200q to the dead letters: %w", f.Key, err)
	case !resp.Succeeded:
		return ErrFenced
	}
	one := resp.Responses[0].GetResponseTxn()
	if one.GetSucceeded() || len(one.Responses) == 0 || len(one.Responses[0].GetResponseRange().GetKvs()) == 0 {
		return nil
	}
	// It is there already: an answer was lost, or the producer wrote the same value again.
	_, err = l.Remove(ctx, []events.Ref{f.Ref}, func(context.Context) bool { return true }, guards...)
	return err
}
