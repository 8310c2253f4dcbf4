package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// page holds rows of one column in their stored form: with indexes into a dictionary, without NULLs.
type page struct {
	parquet.Page
	base int64 // its first row, counted from the first requested row
}

// rowGroup is a row group of an object.
type rowGroup struct {
	object string
	chunks []parquet.ColumnChunk
	rows   int64
}

// openContent opens an object's content.
func openContent(o Object, content []byte) (*parquet.File, error) {
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, &DamagedError{o.Name, err.Error()}
	}
	return f, nil
}

// rowGroups returns the row groups of an object. An object with fewer columns is damaged.
func rowGroups(o Object, f *parquet.File, columns int) ([]rowGroup, error) {
	if err := checkColumns(o, f); err != nil {
		return nil, err
	}
	var all []rowGroup
	for _, g := range f.RowGroups() {
		chunks := g.ColumnChunks()
		if len(chunks) < columns {
			return nil, &DamagedError{o.Name, fmt.Sprintf("it has %d columns of %d", len(chunks), columns)}
		}
		all = append(all, rowGroup{object: o.Name, chunks: chunks, rows: g.NumRows()})
	}
	return all, nil
}

// checkColumns refuses an object whose columns are others than this program reads by their place. Columns behind them are
// of a later version and are not read.
func checkColumns(o Object, f *parquet.File) error {
	want := parquet.SchemaOf(rollupRow{}).Columns()
	if o.Kind == Records {
		want = parquet.SchemaOf(record{}).Columns()
	}
	got := f.Schema().Columns()
	for i := range want {
		if i < len(got) && !slices.Equal(got[i], want[i]) {
			return fmt.Errorf("reading archive object %s: column %d is %q, this program reads %q there; a newer one may have written it", o.Name, i, got[i], want[i])
		}
	}
	return nil
}

// eachPage calls f with the pages of a column, from row lo to before hi. The page is valid during the call.
func (g rowGroup) eachPage(column int, lo, hi int64, f func(page) error) error {
	if err := g.readPages(column, lo, hi, f); err != nil {
		return fmt.Errorf("reading archive object %s, column %d: %w", g.object, column, err)
	}
	return nil
}

func (g rowGroup) readPages(column int, lo, hi int64, f func(page) error) (err error) {
	pages := g.chunks[column].Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	if lo > 0 {
		if err := pages.SeekToRow(lo); err != nil {
			return err
		}
	}
	for row := lo; row < hi; {
		p, err := pages.ReadPage()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		n := min(p.NumRows(), hi-row)
		part := p
		if n < p.NumRows() {
			part = p.Slice(0, n)
		}
		err = f(page{part, row - lo})
		parquet.Release(p)
		if err != nil {
			return err
		}
		row += n
	}
	return nil
}

// readTexts returns rows [lo, hi) of a column of texts. Row lo is row base of the result.
func (g rowGroup) readTexts(column int, lo, hi int64, base int32, texts *textTable) (c changes, err error) {
	if text, constant := g.constantText(column, lo, hi); constant {
		return changes{{base, texts.numberOf(text)}}, nil
	}
	var numbers []int32
	err = g.eachPage(column, lo, hi, func(p page) error {
		dictionary := p.Dictionary()
		if dictionary == nil {
			return errors.New("the column has no dictionary")
		}
		for i := len(numbers); i < dictionary.Len(); i++ {
			numbers = append(numbers, texts.numberOf(dictionary.Index(int32(i)).ByteArray()))
		}
		return c.addPage(p, numbers, base+int32(p.base))
	})
	return c, err
}

// readNumbers returns rows [lo, hi) of a column of numbers that change rarely, in the form of readTexts.
func (g rowGroup) readNumbers(column int, lo, hi int64, base int32) (c changes, err error) {
	var numbers []int32
	err = g.eachPage(column, lo, hi, func(p page) error {
		dictionary := p.Dictionary()
		if dictionary == nil {
			return errors.New("the column has no dictionary")
		}
		for i := len(numbers); i < dictionary.Len(); i++ {
			numbers = append(numbers, dictionary.Index(int32(i)).Int32())
		}
		return c.addPage(p, numbers, base+int32(p.base))
	})
	return c, err
}

// constantText returns the only text of a column in rows [lo, hi), empty for NULL, if the index of its pages says so.
func (g rowGroup) constantText(column int, lo, hi int64) (text []byte, constant bool) {
	index, err1 := g.chunks[column].ColumnIndex()
	offsets, err2 := g.chunks[column].OffsetIndex()
	if err1 != nil || err2 != nil {
		return nil, false // the error of reading the pages is better
	}
	seen := false
	for i := range offsets.NumPages() {
		end := g.rows
		if i+1 < offsets.NumPages() {
			end = offsets.FirstRowIndex(i + 1)
		}
		if offsets.FirstRowIndex(i) >= hi || end <= lo {
			continue
		}
		var one []byte
		if !index.NullPage(i) {
			one = index.MinValue(i).ByteArray()
			if index.NullCount(i) > 0 || len(one) >= maxIndexed || !bytes.Equal(one, index.MaxValue(i).ByteArray()) {
				return nil, false
			}
		}
		if seen && !bytes.Equal(one, text) {
			return nil, false
		}
		text, seen = one, true
	}
	return text, seen
}
