package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

const (
	// maxCells bounds the cells of a table. Where series have times of their own, nearly all of them are empty.
	maxCells = 2 * history.MaxPoints

	// tableBytes is the length of text from which a piece of a streamed table is sent.
	tableBytes = 256 << 10
)

// answerTable answers with a table: a row for each time, a column for each series and aggregate. It is written while it is sent. A table
// with too many cells is refused.
func (a *API) answerTable(ctx context.Context, c *fiber.Ctx, s *live.State, q history.Query) error {
	var all []history.Series
	next, err := a.past.Columns(ctx, s, q, func(some []history.Series) error {
		all = append(all, some...)
		return nil
	})
	if err != nil {
		return a.historyError(ctx, err)
	}
	t := newTable(all, nil, q.ShownAggregates())
	if !t.countRows(a.maxCells) {
		return tooManyCells(a.maxCells)
	}
	t.writeHeader()
	first, err := t.makeText(ctx)
	if err != nil {
		return a.historyError(ctx, err)
	}
	a.setStreamHeader(c, s, asCSV, next)
	a.sendStream(c, t, first)
	return nil
}

// tooManyCells refuses a table.
func tooManyCells(most int) error {
	text := fmt.Sprintf("as csv, form=columns is a table with a row for each time and a column for each series, and this one would have more than %d cells: "+
		"ask for json or ndjson with form=columns, for csv without it, for fewer series, for a shorter range or smaller limit, "+
		"or for a step, with which series have their times in common", most)
	return &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: text}
}

// seriesTable writes series as a table. Its header names each column host/gpu/part/metric, and the aggregate if there are several. A
// time that a series has twice has as many rows.
type seriesTable struct {
	csvTable
	columns []tableColumn
	rows    int // that are not written yet
}

// tableColumn is a column of a table: a series, or an aggregate of one.
type tableColumn struct {
	*history.Series
	title     string
	aggregate history.Aggregate
	next      int // row of the series that is not written yet
}

// newTable returns the table of series, with no rows before countRows. clusters holds the cluster of each, and is nil where there is one.
func newTable(all []history.Series, clusters []string, shown func(metric string) []history.Aggregate) *seriesTable {
	t := &seriesTable{csvTable: csvTable{start: true}}
	for i := range all {
		s := &all[i]
		title := string(s.Host) + "/" + string(s.Entity.GPU)
		if clusters != nil {
			title = clusters[i] + "/" + title
		}
		if s.Entity.Part != "" {
			title += "/" + s.Entity.Part
		}
		title += "/" + s.Metric
		if s.Starts == nil {
			t.columns = append(t.columns, tableColumn{Series: s, title: title})
			continue
		}
		aggregates := shown(s.Metric)
		for _, a := range aggregates {
			column := tableColumn{Series: s, title: title, aggregate: a}
			if len(aggregates) > 1 {
				column.title += "/" + string(a)
			}
			t.columns = append(t.columns, column)
		}
	}
	return t
}

// countRows counts the rows, and reports whether they have at most so many cells. It ends with the row that has too many.
func (t *seriesTable) countRows(mostCells int) bool {
	for {
		at, some := t.nextTime()
		if !some {
			break
		}
		if t.rows++; t.rows*len(t.columns) > mostCells {
			return false
		}
		for i := range t.columns {
			if c := &t.columns[i]; c.isAt(at) {
				c.next++
			}
		}
	}
	for i := range t.columns {
		t.columns[i].next = 0
	}
	return true
}

// nextTime returns the time of the next row, and whether there is one.
func (t *seriesTable) nextTime() (at events.Timestamp, some bool) {
	for i := range t.columns {
		c := &t.columns[i]
		if times := c.times(); c.next < len(times) && (!some || times[c.next] < at) {
			at, some = times[c.next], true
		}
	}
	return at, some
}

func (t *seriesTable) writeHeader() {
	t.writeCell("timestamp")
	for i := range t.columns {
		t.writeCell(t.columns[i].title)
	}
	t.endRow()
}

func (t *seriesTable) isDone() bool { return t.rows == 0 }

// makeText returns what was written before and the next rows.
func (t *seriesTable) makeText(ctx context.Context) ([]byte, error) {
	for ; t.rows > 0 && len(t.buf) < tableBytes; t.rows-- {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		at, _ := t.nextTime()
		t.writeTime(at)
		for i := range t.columns {
			t.writeValueAt(&t.columns[i], at)
		}
		t.endRow()
	}
	text := t.buf
	t.buf = t.buf[:0]
	return text, nil
}

func (c *tableColumn) times() []events.Timestamp {
	if c.Starts != nil {
		return c.Starts
	}
	return c.Samples.Times
}

// isAt reports whether the next value is of an instant.
func (c *tableColumn) isAt(at events.Timestamp) bool {
	times := c.times()
	return c.next < len(times) && times[c.next] == at
}

// writeValueAt writes the next value of a column if it is of an instant, else an empty cell.
func (t *seriesTable) writeValueAt(c *tableColumn, at events.Timestamp) {
	if !c.isAt(at) {
		t.writeCell("")
		return
	}
	i := c.next
	c.next++
	if c.Starts != nil {
		if n, ok := c.Sums[i].Number(c.aggregate); ok {
			t.writeNumber(n)
		} else {
			t.writeCell("")
		}
		return
	}
	if _, v := c.Samples.At(i); v.Absent == events.Present {
		t.writeNumber(v.Number)
	} else {
		t.writeCell(v.Raw)
	}
}
