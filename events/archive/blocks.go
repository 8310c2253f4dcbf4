package archive

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"

	"telemetry-pipeline/events/cache"
)

// blockRows is the number of rows that a query decodes at a time: the rows of one page in the objects of this program.
const blockRows = pageRows

// Cost counts what the reads of a query took. Safe for concurrent use.
type Cost struct {
	Objects atomic.Int64 // read from the store
	Bytes   atomic.Int64 // of these objects, or of the parts of large ones
	Blocks  atomic.Int64 // blocks of up to 65,536 rows, of rollups columns of them, that were decoded
	Cached  atomic.Int64 // of these that were found in memory
	Pages   atomic.Int64 // of numbers that were decoded
}

// contentCache keeps objects and decoded blocks of them. Objects never change, so nothing in it becomes wrong.
type contentCache = cache.Cache[contentKey, cachedContent]

// contentKey names an object, a block of one, or a column of a block.
type contentKey struct {
	object string
	group  int   // row group
	column int   // of rollups; 0: the columns by which rows are selected
	number int64 // of the block, or wholeObject, or above timesVectors a hash of times
}

const (
	wholeObject  = -1
	timesVectors = 1 << 62
)

// cachedContent is an opened object or a decoded block.
type cachedContent interface{ bytesInMemory() int }

// KeepUpTo makes the store keep what Scan and Rollup read, up to a number of bytes. Call it before the first read.
func (s *Store) KeepUpTo(bytes int64) {
	s.cache = cache.New[contentKey](bytes, cachedContent.bytesInMemory)
}

// CacheStats returns the counts of the cache of KeepUpTo.
func (s *Store) CacheStats() cache.Stats { return s.cache.Stats() }

// openedObject is an object with its row groups.
type openedObject struct {
	groups []rowGroup
	bytes  int
}

func (o *openedObject) bytesInMemory() int { return o.bytes }

// objectFooter approximates the bytes of an opened object besides its content: the descriptions of its columns.
const objectFooter = 16 << 10

// openObject opens an object and returns its row groups. An object of up to wholeBytes is read whole, checked against its hash,
// and kept. An object with fewer columns is damaged.
func (s *Store) openObject(ctx context.Context, o Object, columns int, cost *Cost) ([]rowGroup, error) {
	if o.Bytes > s.wholeBytes {
		in := &rangeReader{ctx: ctx, bucket: s.bucket, object: o, blocks: make(map[int64][]byte), cost: cost}
		cost.Objects.Add(1)
		return parseObject(o, func() (*parquet.File, error) {
			return parquet.OpenFile(in, o.Bytes, parquet.SkipBloomFilters(true))
		}, columns)
	}
	content, err := s.cache.Get(ctx, contentKey{object: o.Name, number: wholeObject}, func(ctx context.Context) (cachedContent, error) {
		content, err := s.readObject(ctx, o)
		if err != nil {
			return nil, err
		}
		cost.Objects.Add(1)
		cost.Bytes.Add(o.Bytes)
		groups, err := parseObject(o, func() (*parquet.File, error) {
			return parquet.OpenFile(bytes.NewReader(content), o.Bytes, parquet.SkipBloomFilters(true))
		}, columns)
		return &openedObject{groups, len(content) + objectFooter}, err
	})
	if err != nil {
		return nil, err
	}
	return content.(*openedObject).groups, nil
}

func parseObject(o Object, open func() (*parquet.File, error), columns int) (groups []rowGroup, err error) {
	err = recoverToDamage(o, func() error {
		f, err := open()
		if err != nil {
			return fmt.Errorf("opening archive object %s: %w", o.Name, err)
		}
		groups, err = rowGroups(o, f, columns)
		return err
	})
	return groups, err
}

// blockReader reads the blocks of a row group of an object.
type blockReader struct {
	ctx    context.Context
	store  *Store
	object Object
	number int // of the row group
	group  rowGroup
	filter *columnFilter
	cost   *Cost
	lo, hi int64 // the block's rows of the row group
	page   valuePage
}

// eachBlock calls f with the decoded blocks that can hold rows that match the filter, until f returns false or an error. decode decodes
// the block at which r is.
func (s *Store) eachBlock(ctx context.Context, o Object, columns int, p *columnFilter,
	decode func(r *blockReader) (cachedContent, error), f func(*blockReader, cachedContent) (bool, error)) error {
	cost := p.Cost
	if cost == nil {
		cost = new(Cost)
	}
	groups, err := s.openObject(ctx, o, columns, cost)
	if err != nil {
		return err
	}
	for number, g := range groups {
		r := &blockReader{ctx: ctx, store: s, object: o, number: number, group: g, filter: p, cost: cost}
		var spans []rowRange
		if err := recoverToDamage(o, func() (err error) { spans, err = p.matchingPages(g); return err }); err != nil {
			return err
		}
		for _, block := range blocksOf(spans) {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			r.lo = block * blockRows
			r.hi = min(r.lo+blockRows, g.rows)
			content, err := r.decodeOnce(0, func() (cachedContent, error) { return decode(r) })
			if err != nil {
				return err
			}
			if more, err := f(r, content); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// decodeOnce returns what decode returned for a column of the block, from memory if it is there.
func (r *blockReader) decodeOnce(column int, decode func() (cachedContent, error)) (cachedContent, error) {
	decoded := false
	content, err := r.store.cache.Get(r.ctx, contentKey{r.object.Name, r.number, column, r.lo / blockRows}, func(context.Context) (content cachedContent, err error) {
		decoded = true
		err = recoverToDamage(r.object, func() (err error) { content, err = decode(); return err })
		return content, err
	})
	if decoded {
		r.cost.Blocks.Add(1)
	} else {
		r.cost.Cached.Add(1)
	}
	return content, err
}

// eachValues calls f with the values of rows [lo, hi) of the row group, 0 for absent ones, a page at a time. They are decoded for each
// query: a page of them takes less time than its place in memory is worth. The last page is kept, since the next series begins in it.
func (r *blockReader) eachValues(lo, hi int64, f func([]float64)) error {
	for lo < hi {
		if end := r.page.first + int64(len(r.page.values)); lo < r.page.first || lo >= end {
			if err := recoverToDamage(r.object, func() error { return r.readPage(lo) }); err != nil {
				return err
			}
		}
		some := r.page.values[lo-r.page.first:]
		some = some[:min(int64(len(some)), hi-lo)]
		f(some)
		lo += int64(len(some))
	}
	return nil
}

// valuePage is a decoded page of the column value.
type valuePage struct {
	first  int64 // row of the row group
	values []float64
}

// readPage reads the page of values that has a row.
func (r *blockReader) readPage(row int64) error {
	offsets, err := r.group.chunks[colValue].OffsetIndex()
	if err != nil {
		return &DamagedError{r.object.Name, err.Error()}
	}
	pages := offsets.NumPages()
	i := sort.Search(pages, func(i int) bool { return offsets.FirstRowIndex(i) > row })
	if i == 0 {
		return &DamagedError{r.object.Name, fmt.Sprintf("column value has no row %d", row)}
	}
	end := r.group.rows
	if i < pages {
		end = offsets.FirstRowIndex(i)
	}
	r.page = valuePage{offsets.FirstRowIndex(i - 1), r.page.values[:0]}
	if err := r.group.eachPage(colValue, r.page.first, end, func(p page) error {
		r.page.values = append(r.page.values, pageValues(p)...)
		return nil
	}); err != nil {
		return err
	}
	r.cost.Pages.Add(1)
	if n := int64(len(r.page.values)); row >= r.page.first+n {
		return &DamagedError{r.object.Name, fmt.Sprintf("a page of column value has %d rows of %d", n, end-r.page.first)}
	}
	return nil
}

// blocksOf returns the numbers of the blocks with rows of some spans, ascending.
func blocksOf(spans []rowRange) (blocks []int64) {
	for _, s := range spans {
		for block := s.lo / blockRows; block*blockRows < s.hi; block++ {
			blocks = append(blocks, block)
		}
	}
	slices.Sort(blocks)
	return slices.Compact(blocks)
}
