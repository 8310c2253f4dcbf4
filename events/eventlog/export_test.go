package eventlog

import (
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// WrapKV puts a wrapper between the log and etcd.
func (l *Log) WrapKV(wrap func(clientv3.KV) clientv3.KV) { l.kv = wrap(l.kv) }

// SetLost sets the longest time that a watch may hear nothing.
func (l *Log) SetLost(d time.Duration) { l.silence.Lost = d }
