package eventlog

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// WrapKV puts a wrapper between the log and etcd.
func (l *Log) WrapKV(wrap func(clientv3.KV) clientv3.KV) { l.kv = wrap(l.kv) }

// SetLost sets the longest time that a watch may hear nothing.
func (l *Log) SetLost(d time.Duration) { l.silence.Lost = d }

// HeldBytes returns the bytes of events that wait or are in flight.
func (l *Log) HeldBytes() int {
	l.commits.mu.Lock()
	defer l.commits.mu.Unlock()
	bytes := l.commits.pending.bytes
	for r := range l.commits.inFlight {
		bytes += r.bytes
	}
	return bytes
}
