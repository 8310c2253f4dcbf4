package snapshot

import (
	"fmt"

	"github.com/zeebo/xxh3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Chunk is a piece of one window's history of one host, appended and never rewritten; a merge (merge.go) replaces
// several chunks by one.
type Chunk struct {
	Host   events.HostID
	Window projections.Window
	Series projections.HostWindow
}

// maxPiece bounds the bytes of a series in one value, before compression.
const maxPiece = maxBytes / 2

// piece is a chunk, or a part of one, with its stored bytes.
type piece struct {
	series projections.HostWindow
	model  []byte
}

// chunkPuts returns the puts of chunks, each key once: the same records have the same key.
func (s *Store) chunkPuts(g projections.Generation, p events.Partition, chunks []Chunk, env envelope, enc *projections.Encoder) ([]put, error) {
	puts := make([]put, 0, len(chunks))
	seen := make(map[string]bool, len(chunks))
	for _, chunk := range chunks {
		if err := s.checkHost(p, chunk.Host); err != nil {
			return nil, err
		}
		for _, piece := range splitSeries(enc, chunk.Series) {
			first := firstRecord(piece.series)
			if projections.WindowOf(first) != chunk.Window {
				return nil, fmt.Errorf("chunk of host %q for window %d holds a record of %v", chunk.Host, chunk.Window, first)
			}
			key := s.keys.chunkKey(g, p, chunk, first, modelHash(piece.model))
			if seen[key] {
				continue
			}
			seen[key] = true
			value := s.codec.packValue(env, piece.model, true)
			if err := checkSize("chunk", chunk.Host, value); err != nil {
				return nil, err
			}
			puts = append(puts, put{key: key, value: value})
		}
	}
	return puts, nil
}

// modelHash returns the hash that ends the key of a chunk: the same records always have the same key.
func modelHash(model []byte) [16]byte { return xxh3.Hash128(model).Bytes() }

// splitSeries splits a series that is too large for one value; it does not matter which records stay together. An
// empty series has no pieces.
func splitSeries(enc *projections.Encoder, series projections.HostWindow) []piece {
	if series.Records() == 0 {
		return nil
	}
	model := enc.AppendHostWindow(nil, &series)
	if len(model) <= maxPiece {
		return []piece{{series, model}}
	}
	a, b, cut := halveSeries(series)
	if !cut {
		return []piece{{series, model}}
	}
	return append(splitSeries(enc, a), splitSeries(enc, b)...)
}

// halveSeries cuts a series between two columns, or its only column between two readings.
func halveSeries(series projections.HostWindow) (a, b projections.HostWindow, cut bool) {
	cols := series.Columns
	if n := len(cols); n > 1 {
		return series.With(cols[: n/2 : n/2]), series.With(cols[n/2:]), true
	}
	n := cols[0].Len()
	if n < 2 {
		return series, projections.HostWindow{}, false
	}
	part := func(i, j int) projections.HostWindow {
		col := cols[0]
		col.Samples = events.Samples{} // a copy, since the caller's column may be shared
		for ; i < j; i++ {
			col.Add(cols[0].At(i))
		}
		col.Canonical()
		return projections.HostWindow{Columns: []projections.Column{col}, Identities: series.Identities}
	}
	return part(0, n/2), part(n/2, n), true
}

func firstRecord(series projections.HostWindow) events.Timestamp {
	var first events.Timestamp
	some := false
	for _, col := range series.Columns {
		if col.Len() > 0 && (!some || col.Times[0] < first) {
			first, some = col.Times[0], true
		}
	}
	return first
}
