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
// its times, by host, entity and metric. A long one may come in several parts, one after the other. Only the columns that the filter
// wants are decoded.
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
		p := f.forColumns(rollHost, rollGPU, rollMetric)
		err := s.eachBlock(ctx, o, firstRollupColumns, &p, decodeHeads, func(r *blockReader, block cachedContent) (bool, error) {
			return r.yieldRollups(block.(*rollupHeads), func(part Rollup) bool { return yield(part, nil) })
		})
		if err != nil {
			yield(Rollup{}, fmt.Errorf("reading rollups of partition %d: %w", e.Partition, err))
		}
	}
}

// rollupHeads are the metrics of entities in a block of rollups, in the order of Rollup. The other columns are decoded where they are
// asked for.
type rollupHeads struct{ all []rollupHead }

// rollupHead is the rows [lo, hi) of a block, of one metric of one entity.
type rollupHead struct {
	Rollup // without Buckets
	lo, hi int32
}

func (h *rollupHeads) bytesInMemory() int { return headBytes * len(h.all) }

// headBytes approximates the bytes of a head; its texts are shared.
const headBytes = 128

// A column of a block of rollups.
type (
	intColumn    []int64
	floatColumn  []float64
	numberColumn []events.Number
)

func (c intColumn) bytesInMemory() int    { return 8*len(c) + 64 }
func (c floatColumn) bytesInMemory() int  { return 8*len(c) + 64 }
func (c numberColumn) bytesInMemory() int { return 16*len(c) + 64 }

// yieldRollups yields the matching rollups of the block, and reports whether to continue.
func (r *blockReader) yieldRollups(h *rollupHeads, yield func(Rollup) bool) (bool, error) {
	var t *rollupTable
	for i := range h.all {
		head := &h.all[i]
		if !r.filter.matchesSeries(head.Host, head.Entity.GPU, head.Metric) {
			continue
		}
		if t == nil {
			t = &rollupTable{blockReader: r}
			if err := t.readColumns(); err != nil {
				return false, err
			}
		}
		one := head.Rollup
		lo, hi := r.filter.startsWithin(t.start[head.lo:head.hi])
		if one.Buckets = t.buckets(int(head.lo)+lo, int(head.lo)+hi); lo < hi && !yield(one) {
			return false, nil
		}
	}
	return true, nil
}

// startsWithin returns the range of ascending starts of minutes or hours that the filter selects.
func (p *columnFilter) startsWithin(starts []int64) (lo, hi int) {
	hi = len(starts)
	if p.To != 0 {
		hi, _ = slices.BinarySearch(starts, int64(p.To))
	}
	if p.From != 0 {
		lo, _ = slices.BinarySearch(starts[:hi], int64(p.From))
	}
	return lo, hi
}

// rollupTable holds the columns of a block of rollups that a filter wants; the others are nil.
type rollupTable struct {
	*blockReader

	start  intColumn
	count  intColumn
	sum    floatColumn
	first  intColumn // nil also in an object of the first form
	lastAt intColumn
	min    numberColumn
	max    numberColumn
	last   numberColumn
}

// readColumns reads the columns.
func (t *rollupTable) readColumns() (err error) {
	if t.start, err = rollupColumn(t.blockReader, rollStart, (*blockReader).decodeInts); err != nil {
		return err
	}
	if t.count, err = rollupColumn(t.blockReader, rollCount, (*blockReader).decodeInts); err != nil {
		return err
	}
	if t.sum, err = rollupColumn(t.blockReader, rollSum, (*blockReader).decodeFloats); err != nil || t.filter.Buckets == SumFields {
		return err
	}
	if len(t.group.chunks) > rollFirstAt {
		if t.first, err = rollupColumn(t.blockReader, rollFirstAt, (*blockReader).decodeInts); err != nil {
			return err
		}
	}
	if t.lastAt, err = rollupColumn(t.blockReader, rollLastAt, (*blockReader).decodeInts); err != nil || t.filter.Buckets == SumAndTimeFields {
		return err
	}
	if t.min, err = rollupColumn(t.blockReader, rollMin, (*blockReader).decodeNumbers); err != nil {
		return err
	}
	if t.max, err = rollupColumn(t.blockReader, rollMax, (*blockReader).decodeNumbers); err != nil {
		return err
	}
	t.last, err = rollupColumn(t.blockReader, rollLast, (*blockReader).decodeNumbers)
	return err
}

// rollupColumn returns a column of the block, from memory if it is there.
func rollupColumn[C cachedContent](r *blockReader, column int, decode func(r *blockReader, column int) (C, error)) (c C, err error) {
	content, err := r.decodeOnce(column, func() (cachedContent, error) { return decode(r, column) })
	if err != nil {
		return c, err
	}
	return content.(C), nil
}

// buckets returns the buckets of rows [lo, hi) of the block.
func (t *rollupTable) buckets(lo, hi int) []Bucket {
	all := make([]Bucket, hi-lo)
	for i := range all {
		row, b := lo+i, &all[i]
		b.Start, b.Count, b.Sum = events.Timestamp(t.start[row]), t.count[row], t.sum[row]
		if t.first != nil {
			b.FirstAt = events.Timestamp(t.first[row])
		}
		if t.lastAt != nil {
			b.LastAt = events.Timestamp(t.lastAt[row])
		}
		if t.last != nil {
			b.Min, b.Max, b.Last = t.min[row], t.max[row], t.last[row]
		}
	}
	return all
}

// decodeHeads decodes the text columns of a block.
func decodeHeads(r *blockReader) (cachedContent, error) {
	texts := newTextTable()
	var columns [4]changes
	var rows []int32
	for i, c := range []int{rollHost, rollGPU, rollPart, rollMetric} {
		var err error
		if columns[i], err = r.group.readTexts(c, r.lo, r.hi, 0, texts); err != nil {
			return nil, err
		}
		for _, change := range columns[i] {
			rows = append(rows, change.row)
		}
	}
	slices.Sort(rows)
	rows = slices.Compact(rows)
	heads := make([]rollupHead, 0, len(rows))
	for i, row := range rows {
		var cells [4]string
		for i := range columns {
			columns[i] = columns[i].sinceRow(row)
			var err error
			if cells[i], err = unescape(texts.all[columns[i][0].value]); err != nil {
				return nil, &DamagedError{r.object.Name, err.Error()}
			}
		}
		head := rollupHead{lo: row, hi: int32(r.hi - r.lo)}
		if i+1 < len(rows) {
			head.hi = rows[i+1]
		}
		head.Rollup = Rollup{Host: events.HostID(cells[0]), Entity: events.Entity{GPU: events.GPUID(cells[1]), Part: cells[2]}, Metric: cells[3]}
		heads = append(heads, head)
	}
	return &rollupHeads{heads}, nil
}

// checkRows returns an error unless a column has all rows of the block.
func (r *blockReader) checkRows(column, rows int) error {
	if int64(rows) != r.hi-r.lo {
		return &DamagedError{r.object.Name, fmt.Sprintf("column %d has %d rows of %d", column, rows, r.hi-r.lo)}
	}
	return nil
}

func (r *blockReader) decodeInts(column int) (intColumn, error) {
	all := make(intColumn, 0, r.hi-r.lo)
	err := r.group.eachPage(column, r.lo, r.hi, func(p page) error {
		data := p.Data()
		all = append(all, data.Int64()...)
		return nil
	})
	return all, errors.Join(err, r.checkRows(column, len(all)))
}

func (r *blockReader) decodeFloats(column int) (floatColumn, error) {
	all := make(floatColumn, 0, r.hi-r.lo)
	err := r.group.eachPage(column, r.lo, r.hi, func(p page) error {
		data := p.Data()
		all = append(all, data.Double()...)
		return nil
	})
	return all, errors.Join(err, r.checkRows(column, len(all)))
}

// exactColumn returns the column with the numbers that a column of floats cannot hold exactly.
func exactColumn(column int) int {
	switch column {
	case rollMin:
		return rollExactMin
	case rollMax:
		return rollExactMax
	default:
		return rollExactLast
	}
}

// decodeNumbers returns a column of numbers.
func (r *blockReader) decodeNumbers(column int) (numberColumn, error) {
	values, err := r.decodeFloats(column)
	if err != nil {
		return nil, err
	}
	scales, err := r.group.readNumbers(rollScale, r.lo, r.hi, 0)
	if err != nil {
		return nil, err
	}
	texts := newTextTable()
	exact, err := r.group.readTexts(exactColumn(column), r.lo, r.hi, 0, texts)
	if err != nil {
		return nil, err
	}
	numbers := make(numberColumn, len(values))
	for i, v := range values {
		scales, exact = scales.sinceRow(int32(i)), exact.sinceRow(int32(i))
		if numbers[i], err = parseRollupCells(v, int16(scales[0].value), texts.all[exact[0].value]); err != nil {
			return nil, &DamagedError{r.object.Name, err.Error()}
		}
	}
	return numbers, nil
}
