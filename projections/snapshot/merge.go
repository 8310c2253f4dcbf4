package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Merge replaces chunks of one window by their union. Merges plans it, Save writes it: in one transaction, and only
// if none of those chunks has changed since it was read. So a reader at any one revision finds the same records, and
// chunks that were removed meanwhile do not come back.
type Merge struct {
	Replaced int // chunks that the merge removes
	Made     int // chunks that the merge writes

	inputs []mergeInput
	puts   []put
}

// Bounds of a merge.
const (
	maxMergeChunks = maxPuts - 2 // chunks that one transaction replaces
	maxMergeBytes  = maxBytes - linkBytes
	maxMergeModel  = 1 << 20 // bytes of chunks before compression
	maxMergeRead   = 8 << 20 // stored bytes of a window that are considered together

	// A chunk of half a piece is not merged any more: it could gain little, and would be written again. Nor is one
	// more than four times as large as all others that would join it.
	largeChunk   = maxPiece / 2
	maxSizeRatio = 4
)

// mergeInput is a chunk that may be merged.
type mergeInput struct {
	key    string
	seen   int64 // ModRevision
	env    envelope
	series projections.HostWindow
	model  int // bytes of the series, not compressed
	stored int
}

// Merges plans how to reduce the small chunks of a host's window, down to as few as one; it returns nothing when they
// are few enough. Many chunks take several rounds: when all merges of one round are saved, call it again.
func (s *Store) Merges(ctx context.Context, g projections.Generation, p events.Partition, host events.HostID, w projections.Window) ([]Merge, error) {
	parts, err := s.smallChunks(ctx, s.keys.windowPrefix(g, p, w, host))
	if err != nil {
		return nil, fmt.Errorf("reading the chunks of host %q to merge: %w", host, err)
	}
	var list []Merge
	for _, some := range groupInputs(parts) {
		merges, err := s.planMerges(g, p, Chunk{Host: host, Window: w}, some)
		if err != nil {
			return nil, err
		}
		list = append(list, merges...)
	}
	return list, nil
}

// smallChunks reads the chunks of a window that are not large, the smallest first.
func (s *Store) smallChunks(ctx context.Context, window string) ([]mergeInput, error) {
	var parts []mergeInput
	read := 0
	for kv, err := range s.rangeAt(ctx, window, 0) {
		if err != nil {
			return nil, err
		}
		env, model, err := s.codec.unpackValue(kv.Value)
		if err == nil && len(model) < largeChunk {
			one := mergeInput{key: string(kv.Key), seen: kv.ModRevision, env: env, model: len(model), stored: len(kv.Value)}
			one.series, err = projections.ParseHostWindow(model)
			parts = append(parts, one)
		}
		if err != nil {
			s.metrics.damaged.Inc()
			return nil, &DamagedError{Key: string(kv.Key), Err: err}
		}
		if read += len(kv.Value); read > maxMergeRead {
			break
		}
	}
	slices.SortStableFunc(parts, func(a, b mergeInput) int { return cmp.Compare(a.model, b.model) })
	return parts, nil
}

// groupInputs distributes inputs, sorted by size, over merges of about equal numbers.
func groupInputs(parts []mergeInput) [][]mergeInput {
	var all [][]mergeInput
	most := len(parts)
	if n := (len(parts) + maxMergeChunks - 1) / maxMergeChunks; n > 1 {
		most = (len(parts) + n - 1) / n
	}
	for len(parts) > 0 {
		n, model, stored := 0, 0, 0
		for n < len(parts) && n < most {
			model, stored = model+parts[n].model, stored+parts[n].stored+len(parts[n].key)
			if n > 0 && (model > maxMergeModel || stored > maxMergeBytes) {
				break
			}
			n++
		}
		all = append(all, dropLarge(parts[:n]))
		parts = parts[n:]
	}
	return all
}

// dropLarge leaves out the largest inputs as long as they are much larger than all others.
func dropLarge(some []mergeInput) []mergeInput {
	rest := 0
	for _, one := range some {
		rest += one.model
	}
	for n := len(some); n > 0; n-- {
		if rest -= some[n-1].model; some[n-1].model <= maxSizeRatio*rest {
			return some[:n]
		}
	}
	return nil
}

// planMerges merges inputs of one window, in several merges if they do not fit into one, and in none if that would
// not reduce their number.
func (s *Store) planMerges(g projections.Generation, p events.Partition, of Chunk, some []mergeInput) ([]Merge, error) {
	if len(some) < 2 {
		return nil, nil
	}
	m := Merge{Replaced: len(some), inputs: some}
	var env envelope
	series := make([]projections.HostWindow, len(some))
	for i, one := range some {
		series[i] = one.series
		env.revision = max(env.revision, one.env.revision)
	}
	bytes := 0
	for _, piece := range splitSeries(new(projections.Encoder), projections.Merge(series...)) {
		key := s.keys.chunkKey(g, p, of, firstRecord(piece.series), modelHash(piece.model))
		value := s.codec.packValue(env, piece.model, true)
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
	case len(m.nestedOps()) > maxPuts || bytes > maxMergeBytes:
		a, err := s.planMerges(g, p, of, some[:len(some)/2])
		if err != nil {
			return nil, err
		}
		b, err := s.planMerges(g, p, of, some[len(some)/2:])
		return append(a, b...), err
	}
	return []Merge{m}, nil
}

// txnOp returns the merge as one operation of a transaction.
func (m *Merge) txnOp() clientv3.Op {
	unchanged := make([]clientv3.Cmp, len(m.inputs))
	for i, one := range m.inputs {
		unchanged[i] = clientv3.Compare(clientv3.ModRevision(one.key), "=", one.seen)
	}
	return clientv3.OpTxn(unchanged, m.nestedOps(), nil)
}

// nestedOps writes the union and deletes its inputs. A chunk that equals the union, or a piece of it, stays.
func (m *Merge) nestedOps() []clientv3.Op {
	made, there := map[string]bool{}, map[string]bool{}
	for _, one := range m.inputs {
		there[one.key] = true
	}
	var ops []clientv3.Op
	for _, put := range m.puts {
		if made[put.key] = true; !there[put.key] {
			ops = append(ops, put.txnOp())
		}
	}
	for _, one := range m.inputs {
		if !made[one.key] {
			ops = append(ops, clientv3.OpDelete(one.key))
		}
	}
	return ops
}

func (m *Merge) byteSize() (bytes int) {
	for _, put := range m.puts {
		bytes += put.byteSize()
	}
	for _, one := range m.inputs {
		bytes += len(one.key)
	}
	return bytes
}
