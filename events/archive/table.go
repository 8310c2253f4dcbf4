package archive

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"telemetry-pipeline/events"
)

// table holds rows of a records object in columns, in their order.
type table struct {
	series    []series // in order of first appearance
	runs      []run
	times     []events.Timestamp
	mantissas []int64
	exponents []int16 // of each, as its event had it
	owners    []int32 // the event of each
	absent    []events.Absence
}

// run is the adjacent rows [lo, hi) of one series.
type run struct{ series, lo, hi int32 }

// tableReader reads row groups, or parts of them, into a table.
type tableReader struct {
	table
	texts    *textTable
	bySeries map[[len(textColumns)]int32]int32
}

func newTableReader() *tableReader {
	return &tableReader{texts: newTextTable(), bySeries: make(map[[len(textColumns)]int32]int32)}
}

// readRows appends rows [lo, hi) of a row group.
func (t *tableReader) readRows(g rowGroup, lo, hi int64) error {
	base := int32(len(t.times))
	if err := t.readSeries(g, lo, hi, base); err != nil {
		return err
	}
	if err := t.readTimes(g, lo, hi); err != nil {
		return err
	}
	if err := t.readOwners(g, lo, hi); err != nil {
		return err
	}
	if err := t.readNumbers(g, lo, hi, base); err != nil {
		return err
	}
	if err := t.readAbsent(g, lo, hi, base); err != nil {
		return err
	}
	if n := int(base) + int(hi-lo); len(t.times) != n || len(t.owners) != n || len(t.mantissas) != n {
		return fmt.Errorf("columns have %d times, %d events and %d numbers for %d rows", len(t.times), len(t.owners), len(t.mantissas), n)
	}
	return nil
}

// readTimes appends the times of the rows.
func (t *tableReader) readTimes(g rowGroup, lo, hi int64) error {
	t.times = slices.Grow(t.times, int(hi-lo))
	return g.eachPage(colTime, lo, hi, func(p page) error {
		data := p.Data()
		all := data.Int64()
		n := len(t.times)
		t.times = slices.Grow(t.times, len(all))[:n+len(all)]
		for i, at := range all {
			t.times[n+i] = events.Timestamp(at)
		}
		return nil
	})
}

// readOwners appends the events of the rows.
func (t *tableReader) readOwners(g rowGroup, lo, hi int64) error {
	t.owners = slices.Grow(t.owners, int(hi-lo))
	return g.eachPage(colEvent, lo, hi, func(p page) error {
		data := p.Data()
		t.owners = append(t.owners, data.Int32()...)
		return nil
	})
}

// readSeries appends the runs of the rows.
func (t *tableReader) readSeries(g rowGroup, lo, hi int64, base int32) error {
	var columns [len(textColumns)]changes
	var bounds []int32
	for i, c := range textColumns {
		var err error
		if columns[i], err = g.readTexts(c, lo, hi, base, t.texts); err != nil {
			return err
		}
		for _, change := range columns[i] {
			bounds = append(bounds, change.row)
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	var key [len(textColumns)]int32
	for i, row := range bounds {
		for c := range columns {
			if len(columns[c]) > 0 && columns[c][0].row == row {
				key[c] = columns[c][0].value
				columns[c] = columns[c][1:]
			}
		}
		end := base + int32(hi-lo)
		if i+1 < len(bounds) {
			end = bounds[i+1]
		}
		number, err := t.seriesOf(key)
		if err != nil {
			return err
		}
		if n := len(t.runs); n > 0 && t.runs[n-1].series == number && t.runs[n-1].hi == row {
			t.runs[n-1].hi = end
			continue
		}
		t.runs = append(t.runs, run{number, row, end})
	}
	return nil
}

func (t *tableReader) seriesOf(key [len(textColumns)]int32) (int32, error) {
	number, known := t.bySeries[key]
	if known {
		return number, nil
	}
	var cells seriesTexts
	for i, text := range key {
		cells[i] = t.texts.all[text]
	}
	s, err := seriesOf(cells)
	if err != nil {
		return 0, err
	}
	number = int32(len(t.series))
	t.series = append(t.series, s)
	t.bySeries[key] = number
	return number, nil
}

// readNumbers appends the numbers of the rows. The numbers of absent readings are 0.
func (t *tableReader) readNumbers(g rowGroup, lo, hi int64, base int32) error {
	if err := t.readScales(g, lo, hi, base); err != nil {
		return err
	}
	t.mantissas = slices.Grow(t.mantissas, int(hi-lo))
	if err := g.eachPage(colValue, lo, hi, func(p page) error { return t.addValues(p) }); err != nil {
		return err
	}
	return t.readExact(g, lo, hi, base, func(row int32, n events.Number) {
		t.mantissas[row], t.exponents[row] = n.Mantissa, n.Exponent
	})
}

// readScales appends the exponents of the rows, which hold for numbers that the column exact does not have.
func (t *tableReader) readScales(g rowGroup, lo, hi int64, base int32) error {
	scales, err := g.readNumbers(colScale, lo, hi, base)
	if err != nil {
		return err
	}
	end := base + int32(hi-lo)
	t.exponents = slices.Grow(t.exponents, int(hi-lo))
	for i, c := range scales {
		to := end
		if i+1 < len(scales) {
			to = scales[i+1].row
		}
		for range to - c.row {
			t.exponents = append(t.exponents, int16(c.value))
		}
	}
	if len(t.exponents) != int(end) {
		return fmt.Errorf("column scale has %d rows of %d", len(t.exponents), end)
	}
	return nil
}

// readExact calls f with the numbers of the column exact.
func (t *tableReader) readExact(g rowGroup, lo, hi int64, base int32, f func(row int32, n events.Number)) error {
	exact, err := g.readTexts(colExact, lo, hi, base, t.texts)
	if err != nil {
		return err
	}
	return t.eachText(exact, base+int32(hi-lo), func(row int32, text string) error {
		n, err := parseExact(text)
		f(row, n)
		return err
	})
}

// addValues appends the mantissas of a page of values.
func (t *tableReader) addValues(p page) error {
	row := len(t.mantissas)
	if row+int(p.NumRows()) > len(t.exponents) {
		return fmt.Errorf("column value has more rows than column scale")
	}
	for i, v := range pageValues(p) {
		t.mantissas = append(t.mantissas, scaledMantissa(v, t.exponents[row+i]))
	}
	return nil
}

// pageValues returns a page of values with 0 in the place of NULL. It may be a part of the page.
func pageValues(p page) []float64 {
	data := p.Data()
	values := data.Double()
	if len(values) == int(p.NumRows()) {
		return values
	}
	all := make([]float64, p.NumRows())
	for i, level := range p.DefinitionLevels() {
		if level > 0 && len(values) > 0 {
			all[i], values = values[0], values[1:]
		}
	}
	return all
}

// scaledMantissa returns mantissa(v, scale), or 0 for a scale beyond the table of powers (column exact has the number then).
func scaledMantissa(v float64, scale int16) int64 {
	if int(scale) >= len(tens) || -int(scale) >= len(tens) {
		return 0
	}
	return mantissa(v, int(scale))
}

// appendMantissas appends scaledMantissa of values of one scale.
func appendMantissas(dst []int64, values []float64, scale int16) []int64 {
	switch {
	case scale == 0:
		for _, v := range values {
			dst = append(dst, int64(v))
		}
	case scale < 0 && -int(scale) < len(tens):
		ten := tens[-scale]
		for _, v := range values {
			dst = append(dst, int64(math.RoundToEven(v*ten)))
		}
	default:
		for _, v := range values {
			dst = append(dst, scaledMantissa(v, scale))
		}
	}
	return dst
}

// readAbsent appends the absences of the rows.
func (t *tableReader) readAbsent(g rowGroup, lo, hi int64, base int32) error {
	reasons, err := g.readTexts(colAbsent, lo, hi, base, t.texts)
	if err != nil {
		return err
	}
	raws, err := g.readTexts(colRaw, lo, hi, base, t.texts)
	if err != nil {
		return err
	}
	end := base + int32(hi-lo)
	return t.eachText(reasons, end, func(row int32, word string) error {
		reason, err := parseReason(word)
		if err != nil {
			return err
		}
		raws = raws.sinceRow(row)
		raw, err := unescape(t.texts.all[raws[0].value])
		t.absent = append(t.absent, events.Absence{Row: int(row), Reason: reason, Raw: raw})
		return err
	})
}

// eachText calls f for every row up to end whose column has a text.
func (t *tableReader) eachText(column changes, end int32, f func(row int32, text string) error) error {
	for i, c := range column {
		if c.value == 0 {
			continue
		}
		to := end
		if i+1 < len(column) {
			to = column[i+1].row
		}
		for row := c.row; row < to; row++ {
			if err := f(row, t.texts.all[c.value]); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseReason is the inverse of events.Reason.String, also for reasons of later versions.
func parseReason(word string) (events.Reason, error) {
	reason, err := events.ParseReason(word)
	if err == nil {
		return reason, nil
	}
	if digits, later := strings.CutPrefix(word, "reason_"); later {
		if n, err := strconv.ParseUint(digits, 10, 8); err == nil {
			return events.Reason(n), nil
		}
	}
	return 0, err
}
