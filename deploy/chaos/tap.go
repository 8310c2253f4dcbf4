package main

import (
	"io"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"telemetry-pipeline/events"
)

// save is a transaction of a collector on projections, as it passed on the wire.
type save struct {
	writer    string
	partition events.Partition
	mixed     bool  // it has keys of other partitions too
	token     int64 // that it is compared with; 0: it carries no guard for its partition
	askedAt   time.Time
	answered  bool
	accepted  bool
	rev       int64 // of the answer
}

// tap reads along on the connections of one daemon to etcd and keeps the transactions that write projections, with the
// guard that each carries and the answer that it got. Safe for concurrent use.
type tap struct {
	writer string

	mu    sync.Mutex
	saves []*save
}

// allConnections returns the connections seen.
func (t *tap) allConnections() []save {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []save
	for _, s := range t.saves {
		out = append(out, *s)
	}
	return out
}

// seen is one connection: write to it the bytes of each direction, before it is passed on.
type seen struct{ requests, answers io.Writer }

func (t *tap) connection() seen {
	c := &conversation{tap: t, open: map[uint32]*save{}}
	return seen{&frames{skip: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), give: c.addRequest}, &frames{give: c.addAnswer}}
}

// conversation pairs requests and answers of one connection by their HTTP/2 stream.
type conversation struct {
	tap  *tap
	mu   sync.Mutex
	open map[uint32]*save
}

func (c *conversation) addRequest(stream uint32, message []byte) {
	var txn pb.TxnRequest
	if !decode(message, &txn) {
		return
	}
	s := saveOf(&txn)
	if s == nil {
		return
	}
	s.writer, s.askedAt = c.tap.writer, time.Now()
	c.tap.mu.Lock()
	c.tap.saves = append(c.tap.saves, s)
	c.tap.mu.Unlock()
	c.mu.Lock()
	c.open[stream] = s
	c.mu.Unlock()
}

func (c *conversation) addAnswer(stream uint32, message []byte) {
	c.mu.Lock()
	s := c.open[stream]
	delete(c.open, stream)
	c.mu.Unlock()
	var txn pb.TxnResponse
	if s == nil || !decode(message, &txn) {
		return
	}
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	s.answered, s.accepted, s.rev = true, txn.Succeeded, txn.Header.GetRevision()
}

// saveOf reads a transaction; nil when it writes no projection.
func saveOf(txn *pb.TxnRequest) *save {
	var s *save
	for _, op := range txn.Success {
		kind, p, _ := parseKey(string(op.GetRequestPut().GetKey()))
		switch {
		case !kind.projects():
		case s == nil:
			s = &save{partition: p}
		case s.partition != p:
			s.mixed = true
		}
	}
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(txn.Compare, func(c *pb.Compare) bool {
		kind, p, _ := parseKey(string(c.Key))
		return kind == ownerKey && p == s.partition && c.Target == pb.Compare_CREATE && c.Result == pb.Compare_EQUAL
	})
	if i >= 0 {
		s.token = txn.Compare[i].GetCreateRevision()
	}
	return s
}

func decode(message []byte, into any) bool {
	return encoding.GetCodecV2("proto").Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, into) == nil
}
