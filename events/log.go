package events

import (
	"context"
	"iter"
	"log/slog"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Log is the event log of one cluster in etcd.
type Log struct{}

// Open connects, and creates or checks the cluster's Facts.
func Open(ctx context.Context, cfg Config, lg *slog.Logger) (*Log, error) { panic("contract") }

// Facts gives what was fixed at first use.
func (l *Log) Facts() Facts { panic("contract") }

// Appended tells what became of one event of an Append.
type Appended struct {
	Created  bool // false: the log had it already
	Revision Revision
	Key      string
}

// Append makes events durable. A nil error means that every event is in etcd's quorum log; the result
// tells for each, in order, whether it was created or there before, and its revision. Events may be spread over several transactions
// (≤ 64 events and ≤ 256 KiB each). An unclear answer is retried with the same keys until ctx ends; after an error some
// events may be there, and appending them again does no harm.
func (l *Log) Append(ctx context.Context, evs []Event) ([]Appended, error) { panic("contract") }

// Head gives the log's newest revision, linearizably.
func (l *Log) Head(ctx context.Context) (Revision, error) { panic("contract") }

// Read gives the events of p with after < revision ≤ upto, in revision order, events of one revision by key.
// It reads in bounded pages and survives compaction. When the sequence ends without an error, all of
// them were given. A damaged event is given with its Damage set. The zero after is the beginning; an after of another log is ErrForeign.
func (l *Log) Read(ctx context.Context, p Partition, after, upto Revision) iter.Seq2[Event, error] {
	panic("contract")
}

// Batch is what a Watch gives: all events of the partition up to Upto that were not given before.
// Without events it is progress: nothing up to Upto will come any more.
type Batch struct {
	Events []Event
	Upto   Revision
}

// Watch follows p after a revision near the head. The sequence ends with an error: ErrCompacted
// or ErrOverflow (the reader was too slow for the bounded queue) mean read on by Read from the last Upto; others tell of etcd or ctx.
func (l *Log) Watch(ctx context.Context, p Partition, after Revision) iter.Seq2[Batch, error] {
	panic("contract")
}

// Close ends the log's clients; calls under way fail.
func (l *Log) Close() error { panic("contract") }

// Dial opens a client of its own to the configured etcd (keep leases, writes and bulk watches apart). The caller closes it.
func (c Config) Dial(lg *slog.Logger) (*clientv3.Client, error) { panic("contract") }
