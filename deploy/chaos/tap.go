package main

import (
	"encoding/binary"
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

// all gives what was seen.
func (t *tap) all() []save {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []save
	for _, s := range t.saves {
		out = append(out, *s)
	}
	return out
}

// seen is one connection: write to it what passes in each direction.
type seen struct {
	requests, answers *io.PipeWriter
}

func (s *seen) close() { _, _ = s.requests.Close(), s.answers.Close() } // closing a pipe does not fail

func (t *tap) connection() *seen {
	fromClient, requests := io.Pipe()
	fromServer, answers := io.Pipe()
	c := &conversation{tap: t, open: map[uint32]*save{}}
	go func() {
		defer drain(fromClient)
		if _, err := io.CopyN(io.Discard, fromClient, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err == nil {
			frames(fromClient, c.request)
		}
	}()
	go func() {
		defer drain(fromServer)
		frames(fromServer, c.answer)
	}()
	return &seen{requests, answers}
}

// drain reads on so that the writer never waits for a reader that has given up.
func drain(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

// conversation pairs requests and answers of one connection by their HTTP/2 stream.
type conversation struct {
	tap  *tap
	mu   sync.Mutex
	open map[uint32]*save
}

func (c *conversation) request(stream uint32, message []byte) {
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

func (c *conversation) answer(stream uint32, message []byte) {
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

// frames reads HTTP/2 frames and gives the first gRPC message of each stream, which for a call that is not streamed is
// all of it. Other frames are skipped: no header is needed to know the messages that count.
func frames(r io.Reader, give func(stream uint32, message []byte)) {
	const data, padded, ended = 0, 8, 1
	bodies := map[uint32][]byte{}
	given := map[uint32]bool{}
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(r, head); err != nil {
			return
		}
		length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		stream := binary.BigEndian.Uint32(head[5:]) & 0x7fffffff
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		if head[3] == data && !given[stream] {
			if head[4]&padded != 0 && length > int(payload[0]) {
				payload = payload[1 : length-int(payload[0])]
			}
			body := append(bodies[stream], payload...)
			bodies[stream] = body
			if size, ok := messageSize(body); ok {
				give(stream, body[5:5+size])
				given[stream] = true
				delete(bodies, stream)
			}
		}
		if head[4]&ended != 0 && head[3] <= 1 { // of a DATA or HEADERS frame
			delete(bodies, stream)
			delete(given, stream)
		}
	}
}

// messageSize tells how long the gRPC message at the start of body is, once all of it is there.
func messageSize(body []byte) (int, bool) {
	if len(body) < 5 || body[0] != 0 {
		return 0, false
	}
	size := int(binary.BigEndian.Uint32(body[1:5]))
	return size, len(body) >= 5+size
}
