package archive

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"telemetry-pipeline/events"
)

// recordWriter writes rows, in their order, as a records object: column by column, so that a row costs little and the
// pages of all columns but value begin at the same rows.
type recordWriter struct {
	buf     bytes.Buffer
	out     *parquet.GenericWriter[record]
	columns []*parquet.ColumnWriter
	cells   cellMaker

	page    []row
	values  []parquet.Value
	inGroup int
	rows    int64
	from    events.Timestamp
	to      events.Timestamp
}

// seriesCells holds the cells of a series in all text columns, by column.
type seriesCells [recordColumns]parquet.Value

func newRecordWriter(codec *pageCodec) *recordWriter {
	w := &recordWriter{}
	w.out = parquet.NewGenericWriter[record](&w.buf, append(writerOptions(Records, codec), sortingColumns())...)
	w.cells = newCellMaker(w.out.Schema())
	w.columns = w.out.ColumnWriters()
	w.values = make([]parquet.Value, 0, pageRows)
	return w
}

// sortingColumns returns the option that records the sort order of the rows in the file.
func sortingColumns() parquet.WriterOption {
	return parquet.SortingWriterConfig(parquet.SortingColumns(
		parquet.Ascending("host"), parquet.Ascending("gpu"), parquet.Ascending("part"), parquet.Ascending("metric"), parquet.Ascending("time")))
}

// addRow appends a row.
func (w *recordWriter) addRow(r row) error {
	if r.series.cells == nil {
		cells, err := w.cells.seriesCells(r.series)
		if err != nil {
			return err
		}
		r.series.cells = cells
	}
	if w.rows == 0 {
		w.from, w.to = r.at, r.at
	}
	w.from, w.to = min(w.from, r.at), max(w.to, r.at)
	w.rows++
	if w.page = append(w.page, r); len(w.page) < pageRows {
		return nil
	}
	return w.flushPage()
}

// close writes the remaining rows and returns the object's content.
func (w *recordWriter) close() ([]byte, error) {
	if err := w.flushPage(); err != nil {
		return nil, err
	}
	if err := w.out.Close(); err != nil {
		return nil, fmt.Errorf("writing records: %w", err)
	}
	return w.buf.Bytes(), nil
}

// flushPage writes a page of each column, of the column value several.
func (w *recordWriter) flushPage() error {
	if len(w.page) == 0 {
		return nil
	}
	for c := range w.columns {
		rows := pageRows
		if c == colValue {
			rows = valuePageRows
		}
		for page := range slices.Chunk(w.page, rows) {
			w.values = w.cells.appendColumn(w.values[:0], c, page)
			if _, err := w.columns[c].WriteRowValues(w.values); err != nil {
				return fmt.Errorf("writing records: %w", err)
			}
			if err := w.columns[c].Flush(); err != nil {
				return fmt.Errorf("writing records: %w", err)
			}
		}
	}
	for i := range w.page {
		w.page[i].series.cells = nil // there may be as many series as rows
	}
	w.inGroup += len(w.page)
	w.page = w.page[:0]
	if w.inGroup < rowGroupRows {
		return nil
	}
	w.inGroup = 0
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("writing records: %w", err)
	}
	return nil
}

// cellMaker makes the cells of rows.
type cellMaker struct{ present, null [recordColumns]parquet.Value }

func newCellMaker(schema *parquet.Schema) (m cellMaker) {
	for c, path := range schema.Columns() {
		leaf, _ := schema.Lookup(path...)
		m.null[c] = parquet.NullValue().Level(0, 0, c)
		m.present[c] = parquet.NullValue().Level(0, leaf.MaxDefinitionLevel, c)
	}
	return m
}

// textCell returns the cell of an escaped text, NULL for the empty text where the column is optional.
func (m *cellMaker) textCell(c int, text string) parquet.Value {
	if text == "" && m.present[c].DefinitionLevel() > 0 {
		return m.null[c]
	}
	return parquet.ByteArrayValue([]byte(text)).Level(0, m.present[c].DefinitionLevel(), c)
}

// seriesCells returns the cells that all records of a series share.
func (m *cellMaker) seriesCells(s *seriesRecords) (*seriesCells, error) {
	texts, err := s.cellTexts()
	if err != nil {
		return nil, err
	}
	var cells seriesCells
	for i, c := range textColumns {
		cells[c] = m.textCell(c, texts[i])
	}
	cells[colGPU] = m.textCell(colGPU, escape(string(s.gpu)))
	return &cells, nil
}

// appendColumn appends the cells of one column.
func (m *cellMaker) appendColumn(dst []parquet.Value, c int, page []row) []parquet.Value {
	switch c {
	case colTime:
		return m.appendCells(dst, c, page, func(r *row) parquet.Value { return parquet.Int64Value(int64(r.at)) })
	case colScale:
		return m.appendCells(dst, c, page, func(r *row) parquet.Value { return parquet.Int32Value(int32(r.number.Exponent)) })
	case colEvent:
		return m.appendCells(dst, c, page, func(r *row) parquet.Value { return parquet.Int32Value(r.event) })
	case colValue:
		return m.appendCells(dst, c, page, (*row).valueCell)
	case colExact:
		return m.appendCells(dst, c, page, (*row).exactCell)
	case colAbsent:
		return m.appendCells(dst, c, page, (*row).reasonCell)
	case colRaw:
		return m.appendCells(dst, c, page, func(r *row) parquet.Value { return textOrNull(r.raw) })
	}
	for i := range page {
		dst = append(dst, page[i].series.cells[c])
	}
	return dst
}

// appendCells appends the cell that f returns for each row.
func (m *cellMaker) appendCells(dst []parquet.Value, c int, page []row, f func(*row) parquet.Value) []parquet.Value {
	level := m.present[c].DefinitionLevel()
	for i := range page {
		if v := f(&page[i]); v.IsNull() {
			dst = append(dst, m.null[c])
		} else {
			dst = append(dst, v.Level(0, level, c))
		}
	}
	return dst
}

func (r *row) valueCell() parquet.Value {
	if r.absent != events.Present {
		return parquet.NullValue()
	}
	return parquet.DoubleValue(r.number.Float())
}

// exactCell returns the number's text where value and scale do not determine it, and NULL otherwise.
func (r *row) exactCell() parquet.Value {
	if r.absent != events.Present || isExact(r.number, r.number.Float()) {
		return parquet.NullValue()
	}
	return parquet.ByteArrayValue([]byte(exactText(r.number)))
}

func (r *row) reasonCell() parquet.Value {
	if r.absent == events.Present {
		return parquet.NullValue()
	}
	return parquet.ByteArrayValue([]byte(r.absent.String()))
}

// textOrNull returns the cell of a text, escaped, and NULL for the empty text.
func textOrNull(text string) parquet.Value {
	if text == "" {
		return parquet.NullValue()
	}
	return parquet.ByteArrayValue([]byte(escape(text)))
}
