package archive

import (
	"slices"
	"strings"

	"telemetry-pipeline/events"
)

// Filter selects the records of a query. Empty and zero fields do not restrict it.
type Filter struct {
	Hosts   []events.HostID
	GPUs    []events.GPUID // records of a GPU and of its parts
	Metrics []string       // canonical names
	From    events.Timestamp
	To      events.Timestamp // exclusive

	Buckets BucketFields // that rollups need

	Cost *Cost // nil, or where to count the reads
}

// BucketFields are the fields of the buckets of a rollup that a caller needs. The others may be zero.
type BucketFields uint8

const (
	AllFields        BucketFields = iota
	SumFields                     // Start, Count and Sum
	SumAndTimeFields              // FirstAt and LastAt too
)

// rowRange is the rows [lo, hi) of a row group.
type rowRange struct{ lo, hi int64 }

// columnFilter is a Filter prepared for comparison with columns: by column, the escaped texts in order.
type columnFilter struct {
	Filter
	columns []wantedTexts
}

type wantedTexts struct {
	column int
	texts  []string
}

// forColumns returns f prepared for an object whose columns host, gpu and metric have the given indexes.
func (f Filter) forColumns(host, gpu, metric int) columnFilter {
	p := columnFilter{Filter: f}
	p.addColumn(host, escapedTexts(f.Hosts))
	p.addColumn(gpu, escapedTexts(f.GPUs))
	p.addColumn(metric, escapedTexts(f.Metrics))
	return p
}

func (p *columnFilter) addColumn(column int, texts []string) {
	if len(texts) > 0 {
		p.columns = append(p.columns, wantedTexts{column, texts})
	}
}

// escapedTexts returns texts as columns store them, sorted.
func escapedTexts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, text := range all {
		out[i] = escape(string(text))
	}
	slices.Sort(out)
	return out
}

// excludesTimes reports whether all times from..to are outside of the filter's range.
func (f Filter) excludesTimes(from, to events.Timestamp) bool {
	return f.From != 0 && to < f.From || f.To != 0 && from >= f.To
}

// matchingPages returns the rows of a row group in the pages that can hold rows that match the filter except for its times.
func (p *columnFilter) matchingPages(g rowGroup) ([]rowRange, error) {
	found := []rowRange{{0, g.rows}}
	for _, w := range p.columns {
		pages, err := w.matchingPages(g)
		if err != nil {
			return nil, err
		}
		found = intersectSpans(found, pages)
	}
	return found, nil
}

// matchingPages returns the rows of the pages whose bounds enclose a wanted text.
func (w wantedTexts) matchingPages(g rowGroup) ([]rowRange, error) {
	index, err := g.chunks[w.column].ColumnIndex()
	if err != nil {
		return nil, err
	}
	offsets, err := g.chunks[w.column].OffsetIndex()
	if err != nil {
		return nil, err
	}
	var out []rowRange
	for i := range index.NumPages() {
		if index.NullPage(i) {
			continue
		}
		low := string(index.MinValue(i).ByteArray())
		at, _ := slices.BinarySearch(w.texts, low)
		if at == len(w.texts) || strings.Compare(w.texts[at], string(index.MaxValue(i).ByteArray())) > 0 {
			continue
		}
		s := rowRange{offsets.FirstRowIndex(i), g.rows}
		if i+1 < offsets.NumPages() {
			s.hi = offsets.FirstRowIndex(i + 1)
		}
		out = append(out, s)
	}
	return out, nil
}

// intersectSpans returns the rows that are in both of two sorted lists.
func intersectSpans(a, b []rowRange) (out []rowRange) {
	for len(a) > 0 && len(b) > 0 {
		if s := (rowRange{max(a[0].lo, b[0].lo), min(a[0].hi, b[0].hi)}); s.lo < s.hi {
			out = append(out, s)
		}
		if a[0].hi < b[0].hi {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}
