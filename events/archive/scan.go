package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"telemetry-pipeline/events"
)

// Series holds readings of one metric of one identity under one source name, in canonical form.
type Series struct {
	Host     events.HostID
	Identity events.Identity
	Metric   string
	Source   string
	events.Samples
}

// Scan returns the records of an entry that match a filter, by host, GPU, part and metric, then by source and identity. A
// long series may come in several parts, one after the other and in order of time. Series share memory, and must not be
// changed.
//
// Only pages that can hold matching records are decoded. An object of up to 4 MiB is read whole and checked against its
// hash; of a larger one only those pages are read, unchecked. Besides the cache, Scan takes the memory of a block of 65,536
// records.
func (s *Store) Scan(ctx context.Context, e Entry, f Filter) iter.Seq2[Series, error] {
	return func(yield func(Series, error) bool) {
		o, found := e.Object(Records)
		if !found || f.excludesTimes(e.From, e.To) {
			return
		}
		p := f.forColumns(colHost, colGPU, colMetric)
		err := s.eachBlock(ctx, o, recordColumns, &p, decodeRecords, func(r *blockReader, block cachedContent) (bool, error) {
			return r.yieldMatching(block.(*recordBlock), func(part Series) bool { return yield(part, nil) })
		})
		if err != nil {
			yield(Series{}, fmt.Errorf("scanning archived records of partition %d: %w", e.Partition, err))
		}
	}
}

// recordBlock is a block of records by series, in the order of Scan, without their numbers.
type recordBlock struct {
	first  int64 // row of its row group
	series []scannedSeries
	bytes  int
}

// scannedSeries is a series of which the numbers are not decoded: Samples has no mantissas.
type scannedSeries struct {
	Series
	entity    events.Entity
	pieces    []run   // its rows in the block
	exponents []int16 // of each row, unless all have Samples.Exponent
	exact     []exactNumber
}

// exactNumber is a number that the column value does not hold.
type exactNumber struct {
	row    int // of the series
	number events.Number
}

func (b *recordBlock) bytesInMemory() int { return b.bytes }

// decodeRecords decodes a block of records.
func decodeRecords(r *blockReader) (cachedContent, error) {
	room, _ := r.store.rooms.Get().(*[]events.Timestamp) // the times are copied out of it
	if room == nil {
		room = new([]events.Timestamp)
	}
	d := blockDecoder{tableReader: newTableReader()}
	d.times = (*room)[:0]
	defer func() { *room = d.times; r.store.rooms.Put(room) }()
	if err := d.readColumns(r.group, r.lo, r.hi); err != nil {
		return nil, err
	}
	if len(d.times) != int(r.hi-r.lo) {
		return nil, fmt.Errorf("column time has %d rows of %d", len(d.times), r.hi-r.lo)
	}
	b := &recordBlock{first: r.lo}
	for group := range groupNeighbours(d.runs, func(a, b run) bool { return d.sameGroup(a.series, b.series) }) {
		parts := slices.Clone(group)
		slices.SortStableFunc(parts, func(a, b run) int { return d.compareInGroup(a.series, b.series) })
		for one := range groupNeighbours(parts, func(a, b run) bool { return a.series == b.series }) {
			b.addSeries(r, d.scannedSeries(one))
		}
	}
	return b, nil
}

// blockDecoder decodes a block of records without their numbers.
type blockDecoder struct {
	*tableReader
	scales changes
	exact  []exactNumber // by row of the block
}

// readColumns reads all columns but the numbers.
func (d *blockDecoder) readColumns(g rowGroup, lo, hi int64) (err error) {
	if err := errors.Join(d.readSeries(g, lo, hi, 0), d.readTimes(g, lo, hi), d.readAbsent(g, lo, hi, 0)); err != nil {
		return err
	}
	if d.scales, err = g.readNumbers(colScale, lo, hi, 0); err != nil {
		return err
	}
	if len(d.scales) == 0 {
		return errors.New("column scale has no rows")
	}
	return d.readExact(g, lo, hi, 0, func(row int32, n events.Number) { d.exact = append(d.exact, exactNumber{int(row), n}) })
}

// scannedSeries returns the series that consists of pieces. Its times may be a part of the times of the block.
func (d *blockDecoder) scannedSeries(pieces []run) scannedSeries {
	s := &d.series[pieces[0].series]
	out := scannedSeries{
		Series: Series{Host: s.host, Identity: *s.identity, Metric: s.metric, Source: s.source},
		entity: s.identity.Entity(s.host), pieces: slices.Clone(pieces),
	}
	out.Exponent = int16(d.scales.within(pieces[0].lo, pieces[0].hi)[0].value)
	same := true
	for i, p := range pieces {
		for _, c := range d.scales.within(p.lo, p.hi) {
			same = same && int16(c.value) == out.Exponent
		}
		out.addExact(d.exact, p)
		out.addAbsent(d.absent, p)
		if i == 0 {
			out.Times = d.times[p.lo:p.hi:p.hi]
		} else {
			out.Times = append(out.Times, d.times[p.lo:p.hi]...)
		}
	}
	if !same || len(out.exact) > 0 {
		for _, p := range pieces {
			out.addExponents(d.scales, p)
		}
	}
	return out
}

// addExact adds the exact numbers of a piece's rows, before its times.
func (s *scannedSeries) addExact(all []exactNumber, p run) {
	k, _ := slices.BinarySearchFunc(all, int(p.lo), func(e exactNumber, row int) int { return cmp.Compare(e.row, row) })
	for ; k < len(all) && all[k].row < int(p.hi); k++ {
		s.exact = append(s.exact, exactNumber{len(s.Times) + all[k].row - int(p.lo), all[k].number})
	}
}

// addExponents adds the exponents of a piece's rows.
func (s *scannedSeries) addExponents(scales changes, p run) {
	s.exponents = slices.Grow(s.exponents, int(p.hi-p.lo))
	for row, some := p.lo, scales.within(p.lo, p.hi); row < p.hi; row++ {
		some = some.sinceRow(row)
		s.exponents = append(s.exponents, int16(some[0].value))
	}
}

// addAbsent adds the absent ones of a piece's rows.
func (s *scannedSeries) addAbsent(all []events.Absence, p run) {
	k, _ := slices.BinarySearchFunc(all, int(p.lo), func(a events.Absence, row int) int { return cmp.Compare(a.Row, row) })
	for ; k < len(all) && all[k].Row < int(p.hi); k++ {
		a := all[k]
		a.Row += len(s.Times) - int(p.lo)
		s.Absent = append(s.Absent, a)
	}
}

// seriesBytes approximates the bytes of a series besides its times; timeBytes are the bytes of a time.
const (
	seriesBytes = 640
	timeBytes   = 8
)

// addSeries adds a series. It shares its times with other series of the object: the GPUs of a host are mostly read together.
func (b *recordBlock) addSeries(r *blockReader, s scannedSeries) {
	b.bytes += seriesBytes + 2*len(s.exponents) + 48*len(s.Absent) + 40*len(s.exact) + 12*len(s.pieces)
	if n := len(b.series); n > 0 && slices.Equal(b.series[n-1].Times, s.Times) {
		s.Times = b.series[n-1].Times
	} else {
		var own int
		s.Times, own = r.shareTimes(s.Times)
		b.bytes += own
	}
	b.series = append(b.series, s)
}

// timesVector is times that series of an object share.
type timesVector []events.Timestamp

func (v timesVector) bytesInMemory() int { return timeBytes*cap(v) + 64 }

// hashedTimes is the number of a series' times that its hash is made of: equal hashes are compared anyway.
const hashedTimes = 256

// shareTimes returns equal times that another series of the object has, if they are in memory, or else a copy and its bytes: the block
// keeps the copy also where the cache has no place for it.
func (r *blockReader) shareTimes(times []events.Timestamp) (shared []events.Timestamp, own int) {
	const prime = 1099511628211
	hash := uint64(len(times))
	for i := 0; i < len(times); i += 1 + len(times)/hashedTimes {
		hash = (hash ^ uint64(times[i])) * prime
	}
	key := contentKey{object: r.object.Name, group: r.number, number: timesVectors + int64(hash>>2)}
	if content, found := r.store.cache.Find(key); found && slices.Equal(content.(timesVector), times) {
		return content.(timesVector), 0
	}
	copied := timesVector(slices.Clone(times))
	r.store.cache.Put(key, copied)
	return copied, copied.bytesInMemory()
}

// yieldMatching yields the matching records of a block, and reports whether to continue.
func (r *blockReader) yieldMatching(b *recordBlock, yield func(Series) bool) (bool, error) {
	for i := range b.series {
		s := &b.series[i]
		if !r.filter.matchesSeries(s.Host, s.entity.GPU, s.Metric) {
			continue
		}
		lo, hi := r.filter.timesWithin(s.Times)
		if lo == hi {
			continue
		}
		part, err := r.readSamples(b, s, lo, hi)
		if err != nil {
			return false, err
		}
		if !yield(part) {
			return false, nil
		}
	}
	return true, nil
}

// readSamples returns the rows [lo, hi) of a series with their numbers.
func (r *blockReader) readSamples(b *recordBlock, s *scannedSeries, lo, hi int) (Series, error) {
	part := s.Series
	part.Times, part.Mantissas, part.Absent = s.Times[lo:hi:hi], make([]int64, 0, hi-lo), nil
	before := 0 // rows of the pieces before
	for _, p := range s.pieces {
		n := int(p.hi - p.lo)
		from, to := max(lo-before, 0), min(hi-before, n)
		if from < to {
			first := b.first + int64(p.lo)
			if err := r.eachValues(first+int64(from), first+int64(to), func(values []float64) {
				part.Mantissas = s.appendMantissas(part.Mantissas, values, lo)
			}); err != nil {
				return Series{}, err
			}
		}
		before += n
	}
	if len(part.Mantissas) != hi-lo {
		return Series{}, &DamagedError{r.group.object, fmt.Sprintf("column value has %d rows of %d", len(part.Mantissas), hi-lo)}
	}
	for _, a := range s.Absent {
		if a.Row >= lo && a.Row < hi {
			a.Row -= lo
			part.Absent = append(part.Absent, a)
			part.Mantissas[a.Row] = 0
		}
	}
	if s.exponents != nil {
		part.Exponents, part.Exponent = slices.Clone(s.exponents[lo:hi]), 0
		for _, e := range s.exact {
			if e.row >= lo && e.row < hi {
				part.Mantissas[e.row-lo], part.Exponents[e.row-lo] = e.number.Mantissa, e.number.Exponent
			}
		}
	}
	part.Canonical()
	return part, nil
}

// appendMantissas appends the mantissas of values; dst has the rows from lo on.
func (s *scannedSeries) appendMantissas(dst []int64, values []float64, lo int) []int64 {
	if s.exponents == nil {
		return appendMantissas(dst, values, s.Exponent)
	}
	scales := s.exponents[lo+len(dst):]
	for i, v := range values {
		dst = append(dst, scaledMantissa(v, scales[i]))
	}
	return dst
}

// timesWithin returns the range of ascending times that the filter selects.
func (p *columnFilter) timesWithin(times []events.Timestamp) (lo, hi int) {
	hi = len(times)
	if p.To != 0 {
		hi, _ = slices.BinarySearch(times, p.To)
	}
	if p.From != 0 {
		lo, _ = slices.BinarySearch(times[:hi], p.From)
	}
	return lo, hi
}

// sameGroup reports whether two series differ in source and identity alone.
func (t *table) sameGroup(i, j int32) bool {
	a, b := &t.series[i], &t.series[j]
	return i == j || a.host == b.host && a.metric == b.metric && a.identity.Entity(a.host) == b.identity.Entity(b.host)
}

// compareInGroup compares two series of a group in the order of an object.
func (t *table) compareInGroup(i, j int32) int {
	return t.series[i].compareInGroup(&t.series[j])
}

// matchesSeries reports whether the filter selects a metric of a GPU.
func (p *columnFilter) matchesSeries(host events.HostID, gpu events.GPUID, metric string) bool {
	return (len(p.Hosts) == 0 || slices.Contains(p.Hosts, host)) &&
		(len(p.Metrics) == 0 || slices.Contains(p.Metrics, metric)) &&
		(len(p.GPUs) == 0 || slices.Contains(p.GPUs, gpu))
}
