package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Merge is chunks of one window, and their union that takes their place. Merges makes it, Save writes it: in one
// transaction, and only if all of those chunks are still as they were read. So whoever reads at any one revision finds
// the same records, and what was removed meanwhile does not come back.
type Merge struct {
	Replaced int // chunks that go
	Made     int // chunks that come

	of   []part
	puts []put
}

// Bounds of a merge.
const (
	mergeChunks = maxPuts - 2 // chunks that one transaction replaces
	mergeBytes  = maxBytes - linkBytes
	mergeModel  = 1 << 20 // their bytes before they are compressed
	mergeRead   = 8 << 20 // stored bytes of a window that are looked at together

	// A chunk of half a piece is not merged any more: what it could gain is little, and it would be written again.
	// Nor is one more than four times as large as all that would join it.
	largeChunk = maxPiece / 2
	unevenness = 4
)

// part is a chunk that may be merged.
type part struct {
	key    string
	seen   int64 // ModRevision
	env    envelope
	series projections.HostWindow
	model  int // bytes of the series, not compressed
	stored int
}

// Merges plans how the small chunks of a host's window become fewer, as few as one; nothing when they are few enough. Many
// chunks take several rounds: when all merges of one are saved, ask again.
func (s *Store) Merges(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, w projections.Window) ([]Merge, error) {
	parts, err := s.parts(ctx, s.keys.window(g, p, w, host))
	if err != nil {
		return nil, fmt.Errorf("reading the chunks of host %q to merge: %w", host, err)
	}
	var list []Merge
	for _, some := range groups(parts) {
		merges, err := s.mergesOf(g, p, Chunk{Host: host, Window: w}, some)
		if err != nil {
			return nil, err
		}
		list = append(list, merges...)
	}
	return list, nil
}

// parts reads the chunks of a window that are not large, the smallest first.
func (s *Store) parts(ctx context.Context, window string) ([]part, error) {
	var parts []part
	read := 0
	for kv, err := range s.rangeAt(ctx, window, 0) {
		if err != nil {
			return nil, err
		}
		env, model, err := s.codec.unpack(kv.Value)
		if err == nil && len(model) < largeChunk {
			one := part{key: string(kv.Key), seen: kv.ModRevision, env: env, model: len(model), stored: len(kv.Value)}
			one.series, err = projections.ParseHostWindow(model)
			parts = append(parts, one)
		}
		if err != nil {
			s.metrics.damaged.Inc()
			return nil, &DamagedError{Key: string(kv.Key), Err: err}
		}
		if read += len(kv.Value); read > mergeRead {
			break
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.model, b.model) })
	return parts, nil
}

// groups deals out parts, which come by size, to merges of about as many each.
func groups(parts []part) [][]part {
	var all [][]part
	most := len(parts)
	if n := (len(parts) + mergeChunks - 1) / mergeChunks; n > 1 {
		most = (len(parts) + n - 1) / n
	}
	for len(parts) > 0 {
		n, model, stored := 0, 0, 0
		for n < len(parts) && n < most {
			model, stored = model+parts[n].model, stored+parts[n].stored+len(parts[n].key)
			if n > 0 && (model > mergeModel || stored > mergeBytes) {
				break
			}
			n++
		}
		all = append(all, worthwhile(parts[:n]))
		parts = parts[n:]
	}
	return all
}

// worthwhile leaves out the largest parts as long as they are much larger than all others.
func worthwhile(some []part) []part {
	rest := 0
	for _, one := range some {
		rest += one.model
	}
	for n := len(some); n > 0; n-- {
		if rest -= some[n-1].model; some[n-1].model <= unevenness*rest {
			return some[:n]
		}
	}
	return nil
}

// mergesOf unites parts of one window, in more than one merge if they do not fit into one; in none where that does not
// make fewer of them.
func (s *Store) mergesOf(g projections.Generation, p events.Partition, of Chunk, some []part) ([]Merge, error) {
	if len(some) < 2 {
		return nil, nil
	}
	m := Merge{Replaced: len(some), of: some}
	var env envelope
	series := make([]projections.HostWindow, len(some))
	for i, one := range some {
		series[i] = one.series
		env.revision = max(env.revision, one.env.revision)
	}
	bytes := 0
	for _, piece := range pieces(projections.Merge(series...)) {
		key := s.keys.chunk(g, p, of, firstRecord(piece.series), xxh3.Hash128(piece.model).Bytes())
		value := s.codec.pack(env, piece.model, true)
		if err := checkSize("chunk", of.Host, value); err != nil {
			return nil, err
		}
		m.puts = append(m.puts, put{key: key, value: value})
		bytes += len(key) + len(value)
	}
	for _, one := range some {
		bytes += len(one.key)
	}
	m.Made = len(m.puts)
	switch {
	case m.Made >= m.Replaced:
		return nil, nil
	case len(m.operations()) > maxPuts || bytes > mergeBytes:
		a, err := s.mergesOf(g, p, of, some[:len(some)/2])
		if err != nil {
			return nil, err
		}
		b, err := s.mergesOf(g, p, of, some[len(some)/2:])
		return append(a, b...), err
	}
	return []Merge{m}, nil
}

// op is the merge as one operation of a transaction.
func (m *Merge) op() clientv3.Op {
	unchanged := make([]clientv3.Cmp, len(m.of))
	for i, one := range m.of {
		unchanged[i] = clientv3.Compare(clientv3.ModRevision(one.key), "=", one.seen)
	}
	return clientv3.OpTxn(unchanged, m.operations(), nil)
}

// operations writes the union and deletes what it is of. A chunk that is itself the union, or a piece of it, stays.
func (m *Merge) operations() []clientv3.Op {
	made, there := map[string]bool{}, map[string]bool{}
	for _, one := range m.of {
		there[one.key] = true
	}
	var ops []clientv3.Op
	for _, put := range m.puts {
		if made[put.key] = true; !there[put.key] {
			ops = append(ops, put.op())
		}
	}
	for _, one := range m.of {
		if !made[one.key] {
			ops = append(ops, clientv3.OpDelete(one.key))
		}
	}
	return ops
}

func (m *Merge) size() (bytes int) {
	for _, put := range m.puts {
		bytes += put.size()
	}
	for _, one := range m.of {
		bytes += len(one.key)
	}
	return bytes
}
