package archive

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"telemetry-pipeline/events"
)

// minuteReadings is the average number of readings per metric and minute from which on rollups by minute are made. With
// fewer, reading the records themselves costs as little, and the rollups would be larger than the records.
const minuteReadings = 16

// rollupRow is a row of an object of minutes or hours: this struct is the object's schema. It sums up the numbers of one
// metric of one entity from start on. Equal numbers of one time count once, regardless of their sources and identities;
// absent readings do not count.
type rollupRow struct {
	Host      string  `parquet:"host,dict"`
	GPU       string  `parquet:"gpu,optional,dict"`
	Part      string  `parquet:"part,optional,dict"`
	Metric    string  `parquet:"metric,dict"`
	Start     int64   `parquet:"start,timestamp(nanosecond),delta"`
	Count     int64   `parquet:"count,delta"`
	Min       float64 `parquet:"min"`
	Max       float64 `parquet:"max"`
	Sum       float64 `parquet:"sum"`
	Last      float64 `parquet:"last"`
	LastAt    int64   `parquet:"last_at,timestamp(nanosecond),delta"`
	Scale     int32   `parquet:"scale,dict"` // of min, max and last, as in records
	ExactMin  string  `parquet:"exact_min,optional,dict"`
	ExactMax  string  `parquet:"exact_max,optional,dict"`
	ExactLast string  `parquet:"exact_last,optional,dict"`
	FirstAt   int64   `parquet:"first_at,timestamp(nanosecond),delta"` // objects of the first form have no such column
}

// The indexes of rollupRow's columns.
const (
	rollHost = iota
	rollGPU
	rollPart
	rollMetric
	rollStart
	rollCount
	rollMin
	rollMax
	rollSum
	rollLast
	rollLastAt
	rollScale
	rollExactMin
	rollExactMax
	rollExactLast
	rollFirstAt
	rollupColumns
	firstRollupColumns = rollFirstAt // of the first form
)

// Bucket sums up the numbers of one metric of one entity in the minute or hour from Start on.
type Bucket struct {
	Start  events.Timestamp
	Count  int64
	Min    events.Number
	Max    events.Number
	Last   events.Number // at LastAt; of several then the greatest by events.Value.Compare
	LastAt events.Timestamp
	Sum    float64

	FirstAt events.Timestamp // time of the first number; 0 where the object does not say
}

// Add adds the sums of other records of the same minute or hour. Neither bucket may be empty.
func (b *Bucket) Add(c Bucket) {
	b.Count += c.Count
	b.Sum += c.Sum
	b.FirstAt = min(b.FirstAt, c.FirstAt)
	if c.Min.Compare(b.Min) < 0 {
		b.Min = c.Min
	}
	if c.Max.Compare(b.Max) > 0 {
		b.Max = c.Max
	}
	if c.LastAt > b.LastAt || c.LastAt == b.LastAt && (events.Value{Number: c.Last}).Compare(events.Value{Number: b.Last}) > 0 {
		b.Last, b.LastAt = c.Last, c.LastAt
	}
}

// rollupBuilder builds rollups from rows in the order of an object.
type rollupBuilder struct {
	step     events.Timestamp
	out      *rollupWriter // nil: rollups are only counted
	readings int64         // added so far
	buckets  int64         // completed so far

	series *seriesRecords // a series of the current entity and metric
	at     events.Timestamp
	seen   []events.Number // at that time
	bucket Bucket
}

// addRow adds the next row.
func (r *rollupBuilder) addRow(x *row) error {
	if x.absent != events.Present {
		return nil
	}
	n := events.NumberOf(x.number.Mantissa, x.number.Exponent)
	start := x.at - floorMod(x.at, r.step)
	if r.series == nil || r.series.compareGroup(x.series) != 0 || start != r.bucket.Start {
		if err := r.flushBucket(); err != nil {
			return err
		}
		r.series, r.bucket, r.seen = x.series, Bucket{Start: start}, r.seen[:0]
	} else if x.at != r.at {
		r.seen = r.seen[:0]
	}
	r.at = x.at
	if slices.Contains(r.seen, n) {
		return nil
	}
	r.seen = append(r.seen, n)
	r.readings++
	one := Bucket{Start: start, Count: 1, Min: n, Max: n, Last: n, LastAt: x.at, Sum: n.Float(), FirstAt: x.at}
	if r.bucket.Count == 0 {
		r.bucket = one
	} else {
		r.bucket.Add(one)
	}
	return nil
}

// floorMod returns the remainder of t divided by step, never negative.
func floorMod(t, step events.Timestamp) events.Timestamp { return ((t % step) + step) % step }

// flushBucket writes the current bucket.
func (r *rollupBuilder) flushBucket() error {
	if r.bucket.Count == 0 {
		return nil
	}
	r.buckets++
	b := r.bucket
	r.bucket = Bucket{}
	if r.out == nil {
		return nil
	}
	x := rollupRow{
		Host: escape(string(r.series.host)), GPU: escape(string(r.series.gpu)), Part: escape(r.series.identity.Part),
		Metric: escape(r.series.metric), Start: int64(b.Start), Count: b.Count, Sum: b.Sum, LastAt: int64(b.LastAt), FirstAt: int64(b.FirstAt),
	}
	scale := min(b.Min.Exponent, b.Max.Exponent, b.Last.Exponent)
	x.Scale = int32(scale)
	x.Min, x.ExactMin = rollupCells(b.Min, scale)
	x.Max, x.ExactMax = rollupCells(b.Max, scale)
	x.Last, x.ExactLast = rollupCells(b.Last, scale)
	return r.out.addRow(x)
}

// rollupCells returns the cells of a number at a scale.
func rollupCells(n events.Number, scale int16) (value float64, exact string) {
	value = n.Float()
	if m, fits := n.MantissaAt(scale); fits && isExact(events.Number{Mantissa: m, Exponent: scale}, value) {
		return value, ""
	}
	return value, exactText(n)
}

// parseRollupCells is the inverse of rollupCells.
func parseRollupCells(value float64, scale int16, exact string) (events.Number, error) {
	if exact != "" {
		return parseExact(exact)
	}
	return events.NumberOf(scaledMantissa(value, scale), scale), nil
}

// rollupWriter writes rows of an object of minutes or hours.
type rollupWriter struct {
	kind  Kind
	buf   bytes.Buffer
	out   *parquet.GenericWriter[rollupRow]
	batch []rollupRow
	rows  int
}

func newRollupWriter(kind Kind, codec *pageCodec) *rollupWriter {
	w := &rollupWriter{kind: kind}
	options := append(writerOptions(kind, codec), parquet.MaxRowsPerRowGroup(rowGroupRows), parquet.SortingWriterConfig(parquet.SortingColumns(
		parquet.Ascending("host"), parquet.Ascending("gpu"), parquet.Ascending("part"), parquet.Ascending("metric"), parquet.Ascending("start"))))
	w.out = parquet.NewGenericWriter[rollupRow](&w.buf, options...)
	return w
}

func (w *rollupWriter) addRow(x rollupRow) error {
	w.rows++
	if w.batch = append(w.batch, x); len(w.batch) < 1024 {
		return nil
	}
	return w.flushBatch()
}

func (w *rollupWriter) flushBatch() error {
	_, err := w.out.Write(w.batch)
	w.batch = w.batch[:0]
	if err != nil {
		return fmt.Errorf("writing %s: %w", w.kind, err)
	}
	return nil
}

// close writes the remaining rows and returns the object's content.
func (w *rollupWriter) close() ([]byte, error) {
	if err := w.flushBatch(); err != nil {
		return nil, err
	}
	if err := w.out.Close(); err != nil {
		return nil, fmt.Errorf("writing %s: %w", w.kind, err)
	}
	return w.buf.Bytes(), nil
}
