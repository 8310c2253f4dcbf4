package rest

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/history"
)

// mergeTelemetry answers GET /api/v1/telemetry over several clusters.
func (g *Gateway) mergeTelemetry(c *fiber.Ctx) error {
	p, err := readParams(c, "host_id", "gpu_id", "metric", "start_time", "end_time", "step", "agg", "limit", "cursor", "order", "form", "group", "format", "explain", "wait", "cluster")
	if err != nil {
		return err
	}
	q, err := g.parseFleetQuery(p)
	if err != nil {
		return err
	}
	views, d, err := g.loadViews(c, p, allHosts)
	if err != nil {
		return err
	}
	m := &mergedQuery{Gateway: g, views: views, degraded: d, query: q}
	for _, v := range views {
		feed, err := v.API.feeds.In(access.ScopeFrom(access.InCluster(c.UserContext(), v.Name)))
		if err != nil {
			return &Error{http.StatusServiceUnavailable, Unavailable, "the view of your scope cannot be served at the moment; try again later", err}
		}
		m.parts = append(m.parts, cells.Part{Cluster: v.Name, State: v.State, Past: boundedPast{v.API, feed}})
	}
	return refusalOf(m.answerPage(c, p))
}

// refusalOf returns the answer for an error of a query that is refused.
func refusalOf(err error) error {
	if errors.Is(err, history.ErrPoints) {
		return &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: history.ErrPoints.Error()}
	}
	return err
}

// mergedQuery is a query of the history of several clusters.
type mergedQuery struct {
	*Gateway
	views    []cellView
	parts    []cells.Part
	degraded degradations
	query    history.Query
}

// answerPage answers with a page, or, in a form that can be streamed, with all pages.
func (m *mergedQuery) answerPage(c *fiber.Ctx, p params) error {
	form, err := formOf(c, p)
	if err != nil {
		return err
	}
	if err := checkExplain(&m.query, form); err != nil {
		return err
	}
	by, grouped, err := p.parseGroup()
	if err != nil {
		return err
	}
	columns, err := p.wantsColumns(&m.query)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), m.cfg.Timeout)
	defer cancel()
	switch {
	case grouped:
		return m.answerGroups(ctx, c, by, form)
	case columns:
		return m.answerColumns(ctx, c, form)
	case form != asJSON:
		_, limited := p.singleValue("limit")
		return m.streamPages(ctx, c, form, limited)
	}
	page, next, err := m.readPage(ctx, m.query)
	if err != nil {
		return err
	}
	w := m.begin(c, entriesSize(page.entries))
	w.Open('[')
	buckets := bucketWriter{writer: w, names: m.names, shown: m.query.ShownAggregates()}
	for i, name := range page.clusters {
		if w.cluster = name; m.query.Step != 0 {
			buckets.writeBucket(&page.buckets[i])
		} else {
			w.writeEntry(m.names, &page.entries[i])
		}
	}
	w.Close(']')
	return m.finish(c, w, next, len(page.clusters))
}

// begin starts the envelope of the answer.
func (m *mergedQuery) begin(c *fiber.Ctx, size int) *writer {
	return m.beginMerged(c, nil, m.degraded, size)
}

// finish ends the envelope behind the data.
func (m *mergedQuery) finish(c *fiber.Ctx, w *writer, next history.Cursor, count int) error {
	w.Text("next_cursor", string(next))
	if len(m.views) > 0 {
		w.writePlan(m.query.Plan, m.views[0].State)
	}
	return w.finishAnswer(c, count)
}

// readPage reads a page of all parts.
func (m *mergedQuery) readPage(ctx context.Context, q history.Query) (page, history.Cursor, error) {
	out := page{clusters: []string{}}
	var next history.Cursor
	var failed []cells.Failure
	if q.Step != 0 {
		got, err := cells.Buckets(ctx, m.parts, q)
		if err != nil {
			return page{}, "", err
		}
		out.buckets, out.clusters, next, failed = got.Items, append(out.clusters, got.Clusters...), got.Next, got.Failed
	} else {
		got, err := cells.Telemetry(ctx, m.parts, q)
		if err != nil {
			return page{}, "", err
		}
		out.entries, out.clusters, next, failed = got.Items, append(out.clusters, got.Clusters...), got.Next, got.Failed
	}
	m.addFailures(failed)
	return out, next, nil
}

// addFailures notes that history of clusters is missing in the answer.
func (m *mergedQuery) addFailures(failed []cells.Failure) {
	for _, f := range failed {
		m.degraded = slices.DeleteFunc(m.degraded, func(d degradation) bool { return d.cell.Name == f.Cluster })
		m.degraded = append(m.degraded, degradation{cell: Cell{Name: f.Cluster}, missing: true, reason: errorText(f.Err)})
	}
}

// dropFailed leaves out the clusters that are missing in an answer whose header has been sent with their names.
func (m *mergedQuery) dropFailed() {
	missing := m.degraded.names(true)
	m.parts = slices.DeleteFunc(m.parts, func(p cells.Part) bool { return slices.Contains(missing, p.Cluster) })
}

// streamPages answers with all pages, or with one if there is a limit. A cluster that fails before the answer begins is named in its
// header and left out; later the answer is cut off, as the answer of one cluster is.
func (m *mergedQuery) streamPages(ctx context.Context, c *fiber.Ctx, f form, limited bool) error {
	p := &pages{read: m.readPage, query: m.query}
	next, send, err := m.startStream(ctx, p, f, limited)
	if err != nil {
		return err
	}
	m.dropFailed()
	p.read = m.readWhole
	m.setHeader(c, f, next)
	send(c)
	return nil
}

// readWhole reads a page of all parts, and fails if one of them does.
func (m *mergedQuery) readWhole(ctx context.Context, q history.Query) (page, history.Cursor, error) {
	known := len(m.degraded)
	out, next, err := m.readPage(ctx, q)
	if err == nil && len(m.degraded) > known {
		last := m.degraded[len(m.degraded)-1]
		err = &Error{Status: http.StatusServiceUnavailable, Code: Unavailable, Text: last.cell.Name + ": " + last.reason}
	}
	return out, next, err
}

// setHeader sets the header of an answer without an envelope.
func (m *mergedQuery) setHeader(c *fiber.Ctx, f form, next history.Cursor) {
	m.degraded.setHeaders(c)
	setFormHeader(c, f, next)
}

// answerColumns answers with series, by cluster.
func (m *mergedQuery) answerColumns(ctx context.Context, c *fiber.Ctx, f form) error {
	var all []history.Series
	var names []string
	w := m.writers.getWriter(0)
	out, count := columnWriter{writer: w, shown: m.query.ShownAggregates()}, 0
	next, failed, err := cells.Columns(ctx, m.parts, m.query, func(cluster string, some []history.Series) error {
		for i := range some {
			if f == asCSV {
				all, names = append(all, some[i]), append(names, cluster)
				continue
			}
			w.cluster = cluster
			out.writeSeries(&some[i])
			if f == asNDJSON {
				w.Buf = append(w.Buf, '\n')
			}
		}
		count += len(some)
		return nil
	})
	if err != nil {
		return err
	}
	m.addFailures(failed)
	switch f {
	case asCSV:
		return m.answerTable(ctx, c, all, names, next)
	case asNDJSON:
		if err := w.sendBody(c); err != nil {
			return err
		}
		m.setHeader(c, f, next)
		return nil
	}
	envelope := m.begin(c, len(w.Buf))
	envelope.Open('[')
	envelope.Buf = append(envelope.Buf, w.Buf...)
	envelope.Close(']')
	return m.finish(c, envelope, next, count)
}

// answerTable answers with a table of series, whose columns begin with the names of the clusters.
func (m *mergedQuery) answerTable(ctx context.Context, c *fiber.Ctx, all []history.Series, names []string, next history.Cursor) error {
	t := newTable(all, names, m.query.ShownAggregates())
	if !t.countRows(m.maxCells) {
		return tooManyCells(m.maxCells)
	}
	t.writeHeader()
	first, err := t.makeText(ctx)
	if err != nil {
		return err
	}
	m.setHeader(c, asCSV, next)
	m.sendStream(c, t, first)
	return nil
}

// answerGroups answers with the series of groups.
func (m *mergedQuery) answerGroups(ctx context.Context, c *fiber.Ctx, by history.Grouping, f form) error {
	if f == asCSV {
		return badParameter("format", "csv", "json or ndjson with group")
	}
	groups, failed, err := cells.Groups(ctx, m.parts, m.query, by)
	if err != nil {
		return err
	}
	m.addFailures(failed)
	w := m.writers.getWriter(0)
	if f == asJSON {
		w = m.begin(c, 0)
		w.Open('[')
	}
	out := columnWriter{writer: w}
	for i := range groups {
		w.cluster = groups[i].Cluster
		out.writeGroup(&groups[i].GroupSeries, m.query.Aggregates)
		if f == asNDJSON {
			w.Buf = append(w.Buf, '\n')
		}
	}
	if f == asJSON {
		w.Close(']')
		return m.finish(c, w, "", len(groups))
	}
	if err := w.sendBody(c); err != nil {
		return err
	}
	m.setHeader(c, f, "")
	return nil
}
