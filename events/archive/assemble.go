package archive

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// assembly reconstructs events from the rows of a table.
type assembly struct {
	*table
	pieces     []piece // by event, then by the order of its columns, then by row
	starts     []int32 // of each event in pieces, and the end
	identities []int32 // of each series; equal numbers are equal identities
}

// piece is a run of adjacent rows [lo, hi) of one series and one event.
type piece struct{ owner, series, lo, hi int32 }

// newAssembly returns an assembly of the table's rows, sorted by event.
func newAssembly(t *table, all []events.Event) (*assembly, error) {
	byRow, err := t.piecesByRow(all)
	if err != nil {
		return nil, err
	}
	ranks, identities := t.rankSeries()
	bySeries, _ := countingSort(byRow, len(t.series), func(p piece) int32 { return ranks[p.series] })
	pieces, starts := countingSort(bySeries, len(all), func(p piece) int32 { return p.owner })
	return &assembly{table: t, pieces: pieces, starts: starts, identities: identities}, nil
}

// piecesByRow cuts the rows where series or event change.
func (t *table) piecesByRow(all []events.Event) ([]piece, error) {
	n := 0
	for _, r := range t.runs {
		n++
		for i := r.lo + 1; i < r.hi; i++ {
			if t.owners[i] != t.owners[i-1] {
				n++
			}
		}
	}
	pieces := make([]piece, 0, n)
	for _, r := range t.runs {
		host := t.series[r.series].host
		for lo := r.lo; lo < r.hi; {
			owner, hi := t.owners[lo], lo+1
			for hi < r.hi && t.owners[hi] == owner {
				hi++
			}
			if owner < 0 || int(owner) >= len(all) || all[owner].Host != host || all[owner].Damage != nil {
				return nil, fmt.Errorf("row %d is of host %.64q and event %d, which the event table does not have", lo, host, owner)
			}
			pieces = append(pieces, piece{owner, r.series, lo, hi})
			lo = hi
		}
	}
	return pieces, nil
}

// rankSeries returns, for each series, its rank in the order of an event's columns and a number for its identity. Equal
// identities have equal numbers.
func (t *table) rankSeries() (ranks, identities []int32) {
	order := make([]int32, len(t.series))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		a, b := &t.series[i], &t.series[j]
		return cmp.Or(a.identity.Compare(b.identity), strings.Compare(a.metric, b.metric), strings.Compare(a.source, b.source))
	})
	ranks, identities = make([]int32, len(order)), make([]int32, len(order))
	identity := int32(0)
	for rank, i := range order {
		if rank > 0 && t.series[i].identity.Compare(t.series[order[rank-1]].identity) != 0 {
			identity++
		}
		ranks[i], identities[i] = int32(rank), identity
	}
	return ranks, identities
}

// countingSort returns pieces sorted by a key below keys, and the start of each key's pieces. The sort is stable.
func countingSort(pieces []piece, keys int, key func(piece) int32) (sorted []piece, starts []int32) {
	starts = make([]int32, keys+1)
	for _, p := range pieces {
		starts[key(p)+1]++
	}
	for i := range keys {
		starts[i+1] += starts[i]
	}
	sorted = make([]piece, len(pieces))
	next := slices.Clone(starts)
	for _, p := range pieces {
		k := key(p)
		sorted[next[k]] = p
		next[k]++
	}
	return sorted, starts
}

// fillEvent adds the records of an event to it, and reports whether it has any.
func (a *assembly) fillEvent(ev *events.Event, number int32) bool {
	pieces := a.pieces[a.starts[number]:a.starts[number+1]]
	if len(pieces) == 0 {
		return false
	}
	columns, rows := 0, int32(0)
	for i, p := range pieces {
		if rows += p.hi - p.lo; i == 0 || pieces[i-1].series != p.series {
			columns++
		}
	}
	ev.Columns = make([]events.Column, 0, columns)
	times, mantissas := make([]events.Timestamp, 0, rows), make([]int64, 0, rows)
	identity := int32(-1)
	for parts := range groupNeighbours(pieces, func(p, q piece) bool { return p.series == q.series }) {
		s := &a.table.series[parts[0].series]
		if number := a.identities[parts[0].series]; number != identity {
			ev.Identities = append(ev.Identities, *s.identity)
			identity = number
		}
		begin := len(times)
		for _, p := range parts {
			times = append(times, a.times[p.lo:p.hi]...)
			mantissas = append(mantissas, a.mantissas[p.lo:p.hi]...)
		}
		c := events.Column{Identity: len(ev.Identities) - 1, Metric: s.metric, Source: s.source}
		c.Times, c.Mantissas = times[begin:len(times):len(times)], mantissas[begin:len(mantissas):len(mantissas)]
		a.fillSamples(&c.Samples, parts)
		ev.Columns = append(ev.Columns, c)
	}
	return true
}

// fillSamples sets the exponents and absences of samples that consist of the rows of parts.
func (t *table) fillSamples(s *events.Samples, parts []piece) {
	s.Exponent = t.exponents[parts[0].lo]
	row := 0
	for _, p := range parts {
		for i := p.lo; i < p.hi; i++ {
			if t.exponents[i] != s.Exponent {
				t.splitExponents(s, parts)
			}
		}
		k, _ := slices.BinarySearchFunc(t.absent, int(p.lo), func(a events.Absence, row int) int { return cmp.Compare(a.Row, row) })
		for ; k < len(t.absent) && t.absent[k].Row < int(p.hi); k++ {
			s.Absent = append(s.Absent, events.Absence{Row: row + t.absent[k].Row - int(p.lo), Reason: t.absent[k].Reason, Raw: t.absent[k].Raw})
		}
		row += int(p.hi - p.lo)
	}
	s.Canonical()
}

// splitExponents stores one exponent per reading instead of one for all of them.
func (t *table) splitExponents(s *events.Samples, parts []piece) {
	if s.Exponents != nil {
		return
	}
	for _, p := range parts {
		s.Exponents = append(s.Exponents, t.exponents[p.lo:p.hi]...)
	}
	s.Exponent = 0
}
