package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
)

// Rollup holds the rollups of one metric of one entity by minute or hour.
type Rollup struct {
	Host    events.HostID
	Entity  events.Entity
	Metric  string
	Buckets []Bucket // by Start
}

// ErrNoRollup reports that an entry has no rollups of a kind.
var ErrNoRollup = errors.New("the entry has none; scan its records")

// Rollup returns the rollups of an entry, by Minutes or Hours, that match a filter and whose minute or hour begins within
// its times, by host, entity and metric. A long one may come in several parts, one after the other.
//
// An entry that was not merged has no rollups (ErrNoRollup), and one whose metrics are read rarely has none by minute; its
// records are few then, and Scan returns them. A minute whose records are spread over several entries has a bucket in each
// (Bucket.Add).
func (s *Store) Rollup(ctx context.Context, e Entry, kind Kind, f Filter) iter.Seq2[Rollup, error] {
	return func(yield func(Rollup, error) bool) {
		o, found := e.Object(kind)
		if kind != Minutes && kind != Hours || !found {
			yield(Rollup{}, fmt.Errorf("reading %s of revisions %d to %d of partition %d: %w", kind, e.First.Number, e.Last.Number, e.Partition, ErrNoRollup))
			return
		}
		if err := s.readRollups(ctx, o, f, func(r Rollup) bool { return yield(r, nil) }); err != nil {
			yield(Rollup{}, fmt.Errorf("reading rollups of partition %d: %w", e.Partition, err))
		}
	}
}

func (s *Store) readRollups(ctx context.Context, o Object, f Filter, yield func(Rollup) bool) error {
	groups, err := s.openObject(ctx, o, rollupColumns)
	if err != nil {
		return err
	}
	p := f.forColumns(rollHost, rollGPU, rollMetric)
	texts := newTextTable()
	for _, g := range groups {
		var spans []rowRange
		if err := recoverToDamage(o, func() (err error) {
			spans, err = p.matchingSpans(g, texts)
			return err
		}); err != nil {
			return err
		}
		for _, rows := range joinSpans(spans) {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			t := rollupTable{texts: texts, g: g, lo: rows.lo, hi: rows.hi}
			if err := recoverToDamage(o, t.readColumns); err != nil {
				return err
			}
			if !t.yieldRollups(&p, yield) {
				return nil
			}
		}
	}
	return nil
}

// rollupTable holds rows of rollups in columns.
type rollupTable struct {
	texts  *textTable
	g      rowGroup
	lo, hi int64

	heads  []rollupHead
	start  []int64
	lastAt []int64
	count  []int64
	sum    []float64
	min    []events.Number
	max    []events.Number
	last   []events.Number
}

// rollupHead is the start of the rows of one metric of one entity.
type rollupHead struct {
	Rollup
	row int32
}

// readColumns reads all columns of the rows.
func (t *rollupTable) readColumns() (err error) {
	if t.heads, err = t.readHeads(); err != nil {
		return err
	}
	if t.start, err = t.readInts(rollStart); err != nil {
		return err
	}
	if t.lastAt, err = t.readInts(rollLastAt); err != nil {
		return err
	}
	if t.count, err = t.readInts(rollCount); err != nil {
		return err
	}
	if t.sum, err = t.readFloats(rollSum); err != nil {
		return err
	}
	scales, err := t.g.readNumbers(rollScale, t.lo, t.hi, 0)
	if err != nil {
		return err
	}
	if t.min, err = t.readNumbers(rollMin, rollExactMin, scales); err != nil {
		return err
	}
	if t.max, err = t.readNumbers(rollMax, rollExactMax, scales); err != nil {
		return err
	}
	t.last, err = t.readNumbers(rollLast, rollExactLast, scales)
	return err
}

// readHeads returns the heads, from the text columns.
func (t *rollupTable) readHeads() ([]rollupHead, error) {
	var columns [4]changes
	var rows []int32
	for i, c := range []int{rollHost, rollGPU, rollPart, rollMetric} {
		var err error
		if columns[i], err = t.g.readTexts(c, t.lo, t.hi, 0, t.texts); err != nil {
			return nil, err
		}
		for _, change := range columns[i] {
			rows = append(rows, change.row)
		}
	}
	slices.Sort(rows)
	var heads []rollupHead
	for _, row := range slices.Compact(rows) {
		var cells [4]string
		for i := range columns {
			columns[i] = columns[i].sinceRow(row)
			var err error
			if cells[i], err = unescape(t.texts.all[columns[i][0].value]); err != nil {
				return nil, &DamagedError{t.g.object, err.Error()}
			}
		}
		entity := events.Entity{GPU: events.GPUID(cells[1]), Part: cells[2]}
		heads = append(heads, rollupHead{Rollup{Host: events.HostID(cells[0]), Entity: entity, Metric: cells[3]}, row})
	}
	return heads, nil
}

// checkRows returns an error unless a column has all rows.
func (t *rollupTable) checkRows(column, rows int) error {
	if int64(rows) != t.hi-t.lo {
		return &DamagedError{t.g.object, fmt.Sprintf("column %d has %d rows of %d", column, rows, t.hi-t.lo)}
	}
	return nil
}

func (t *rollupTable) readInts(column int) (all []int64, err error) {
	err = t.g.eachPage(column, t.lo, t.hi, func(p page) error {
		data := p.Data()
		all = append(all, data.Int64()...)
		return nil
	})
	return all, errors.Join(err, t.checkRows(column, len(all)))
}

func (t *rollupTable) readFloats(column int) (all []float64, err error) {
	err = t.g.eachPage(column, t.lo, t.hi, func(p page) error {
		data := p.Data()
		all = append(all, data.Double()...)
		return nil
	})
	return all, errors.Join(err, t.checkRows(column, len(all)))
}

// readNumbers returns a column of numbers. exactColumn holds the numbers that column cannot hold exactly.
func (t *rollupTable) readNumbers(column, exactColumn int, scales changes) ([]events.Number, error) {
	values, err := t.readFloats(column)
	if err != nil {
		return nil, err
	}
	exact, err := t.g.readTexts(exactColumn, t.lo, t.hi, 0, t.texts)
	if err != nil {
		return nil, err
	}
	numbers := make([]events.Number, len(values))
	for i, v := range values {
		scales, exact = scales.sinceRow(int32(i)), exact.sinceRow(int32(i))
		if numbers[i], err = parseRollupCells(v, int16(scales[0].value), t.texts.all[exact[0].value]); err != nil {
			return nil, &DamagedError{t.g.object, err.Error()}
		}
	}
	return numbers, nil
}

// yieldRollups yields the matching rollups, and reports whether to continue.
func (t *rollupTable) yieldRollups(p *columnFilter, yield func(Rollup) bool) bool {
	for i, head := range t.heads {
		end := int32(len(t.start))
		if i+1 < len(t.heads) {
			end = t.heads[i+1].row
		}
		r := head.Rollup
		if !p.matchesSeries(r.Host, r.Entity.GPU, r.Metric) {
			continue
		}
		for row := head.row; row < end; row++ {
			if b := t.bucketAt(row); (p.From == 0 || b.Start >= p.From) && (p.To == 0 || b.Start < p.To) {
				r.Buckets = append(r.Buckets, b)
			}
		}
		if len(r.Buckets) > 0 && !yield(r) {
			return false
		}
	}
	return true
}

func (t *rollupTable) bucketAt(row int32) Bucket {
	return Bucket{
		Start: events.Timestamp(t.start[row]), Count: t.count[row], Sum: t.sum[row],
		Min: t.min[row], Max: t.max[row], Last: t.last[row], LastAt: events.Timestamp(t.lastAt[row]),
	}
}
