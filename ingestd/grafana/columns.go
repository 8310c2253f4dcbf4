package grafana

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/rows"
)

// Columns returns the dialect with a column per series, for detection.
func Columns() dialect.Grammar {
	return dialect.Grammar{
		Name:   "series-columns",
		Form:   rows.Loose,
		Begins: beginsWithSelectors,
		Match: func(header [][]byte) bool {
			return len(header) > 1 && hasName(header[0], "time")
		},
		Open: func(f dialect.File, opt dialect.Options) (func() dialect.Worker, error) {
			if len(f.Header) < 2 || !hasName(f.Header[0], "time") {
				return nil, errors.New("its first column is not Time, or no other follows")
			}
			t, err := newTable(f.Header, opt)
			if err != nil {
				return nil, err
			}
			return func() dialect.Worker { return &columnsWorker{table: t, clock: dialect.NewClock(opt)} }, nil
		},
	}
}

// hasName reports whether a header cell has a name, in any case.
func hasName(cell []byte, name string) bool {
	return strings.EqualFold(string(bytes.TrimSpace(cell)), name)
}

// table holds the columns of one file. Workers share it; it is not changed.
type table struct {
	time  string
	width int
	order []seriesColumn // the series, with the series of one host together
}

// seriesColumn is a series and its column.
type seriesColumn struct {
	*series
	at int
}

func newTable(header [][]byte, opt dialect.Options) (*table, error) {
	t := &table{time: string(bytes.TrimSpace(header[0])), width: len(header)}
	r := newResolver(opt, dialect.NewIdentities())
	for i, cell := range header[1:] {
		if len(bytes.TrimSpace(cell)) > 0 {
			t.order = append(t.order, seriesColumn{r.resolveSeries(cell), i + 1})
		}
	}
	if err := t.checkSeries(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(t.order, func(a, b seriesColumn) int { return strings.Compare(string(a.hostOrNone()), string(b.hostOrNone())) })
	return t, nil
}

// hostOrNone returns the host of a series, or "" for a series that cannot be used.
func (p seriesColumn) hostOrNone() events.HostID {
	if p.fault != "" {
		return ""
	}
	return p.host
}

// checkSeries refuses a table without a usable series, or in which two series are one.
func (t *table) checkSeries() error {
	type subject struct {
		host     events.HostID
		metric   string
		identity *events.Identity
	}
	seen := map[subject]string{}
	usable := false
	for _, p := range t.order {
		if p.fault != "" {
			continue
		}
		usable = true
		s := subject{p.host, p.metric.Name, p.identity}
		first, found := seen[s]
		if found && first == p.name {
			return fmt.Errorf("several series are named %s, so their names do not distinguish them; clear the legend of the query, "+
				"so that Grafana exports the full names", quoteName(first))
		}
		if found {
			return fmt.Errorf("the series %s and %s are the same; leave one out", quoteName(first), quoteName(p.name))
		}
		seen[s] = p.name
	}
	switch {
	case usable:
		return nil
	case len(t.order) == 0:
		return errors.New("no column but the time has a name; name each after its series")
	}
	return t.order[0].unusableError(len(t.order))
}

// unusableError returns the error for a file none of whose series can be used; s is the first of them.
func (s *series) unusableError(all int) error {
	if all == 1 {
		return fmt.Errorf("the series %s cannot be used: %s", quoteName(s.name), s.fault)
	}
	return fmt.Errorf("none of its %d series can be used; the first is %s: %s", all, quoteName(s.name), s.fault)
}

func quoteName(name string) string { return fmt.Sprintf("%q", rows.Excerpt([]byte(name))) }

// columnsWorker parses rows of a table.
type columnsWorker struct {
	*table
	clock *dialect.Clock
}

// Parse appends a record to out for each cell that has a sample, host by host.
func (w *columnsWorker) Parse(row *rows.Row, out *dialect.Parsed) {
	out.Host, out.ZoneAssumed, out.Runs = "", false, out.Runs[:0]
	fault := row.Fault
	if fault == nil {
		fault = row.Fit(w.width)
	}
	if fault != nil {
		out.Rejections = append(out.Rejections, *fault)
		return
	}
	instant, ok := w.clock.ReadRow(row.Line, w.time, row.Cells[0], out)
	if !ok {
		return
	}
	before := len(out.Records) + len(out.Rejections)
	for i := range w.order {
		w.addCell(row, &w.order[i], instant.At, out)
	}
	if len(out.Records)+len(out.Rejections) == before {
		out.Skipped++ // a row of gaps
	}
}

// addCell adds the record or the rejection of one series' cell.
func (w *columnsWorker) addCell(row *rows.Row, p *seriesColumn, at events.Timestamp, out *dialect.Parsed) {
	text := row.Cells[p.at]
	if p.fault != "" {
		if !isGap(text) {
			out.Reject(row.Line, p.name, text, p.fault)
		}
		return
	}
	value, sampled, err := p.readCell(text)
	switch {
	case !sampled:
		return
	case err != nil:
		out.Reject(row.Line, p.name, text, err.Error())
		return
	}
	p.addWarnings(row.Line, out)
	if last := len(out.Runs) - 1; last < 0 || out.Runs[last].Host != p.host {
		out.Host = p.host
		out.Runs = append(out.Runs, dialect.Run{Host: p.host})
	}
	out.Runs[len(out.Runs)-1].Records++
	out.Add(p.newRecord(at, value, text))
}
