package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

const defaultLimit = 100

// serveTelemetry answers GET /api/v1/telemetry.
func (a *API) serveTelemetry(c *fiber.Ctx) error {
	p, err := readParams(c, "host_id", "gpu_id", "metric", "start_time", "end_time", "step", "agg", "limit", "cursor", "order", "form", "group", "format", "explain", "wait")
	if err != nil {
		return err
	}
	q, err := a.parseFleetQuery(p)
	if err != nil {
		return err
	}
	s, err := a.requestState(c.UserContext(), p)
	if err != nil {
		return err
	}
	return a.answerPage(c, p, s, q)
}

// serveGPUTelemetry answers GET /api/v1/gpus/{id}/telemetry.
func (a *API) serveGPUTelemetry(c *fiber.Ctx) error {
	p, err := readParams(c, "metric", "start_time", "end_time", "step", "agg", "limit", "cursor", "order", "form", "group", "format", "explain", "wait")
	if err != nil {
		return err
	}
	q, err := a.parseQuery(p)
	if err != nil {
		return err
	}
	s, err := a.requestState(c.UserContext(), p)
	if err != nil {
		return err
	}
	name, err := findName(c, s)
	if err != nil {
		return err
	}
	q.GPUs = []events.GPUID{name}
	return a.answerPage(c, p, s, q)
}

// findName returns a name in history of the GPU in the path, which may have left the view.
func findName(c *fiber.Ctx, s *live.State) (events.GPUID, error) {
	g, err := findGPU(c, s)
	if err == nil {
		return g.OwnName(), nil
	}
	if id, bad := pathSegment(c, "id"); bad == nil && history.Knows(s, events.GPUID(id)) {
		return events.GPUID(id), nil
	}
	return "", err
}

// parseFleetQuery parses the parameters of a history query that may choose hosts and GPUs.
func (a *API) parseFleetQuery(p params) (history.Query, error) {
	q, err := a.parseQuery(p)
	if err != nil {
		return q, err
	}
	if q.Hosts, err = p.parseHosts(); err != nil {
		return q, err
	}
	q.GPUs, err = p.parseGPUs(q.Hosts)
	return q, err
}

// parseQuery parses the parameters of every history query.
func (a *API) parseQuery(p params) (q history.Query, err error) {
	if form, _ := p.singleValue("form"); form == columnsForm {
		q.Limit, err = p.parseLimit(history.MaxPoints, history.DefaultPoints)
	} else {
		q.Limit, err = p.parseLimit(history.MaxLimit, defaultLimit)
	}
	if err != nil {
		return q, err
	}
	if q.Oldest, err = p.parseOrder(); err != nil {
		return q, err
	}
	if q.Metrics, err = p.parseMetrics(); err != nil {
		return q, err
	}
	if err = p.parseStep(&q); err != nil {
		return q, err
	}
	if err = p.parseExplain(&q); err != nil {
		return q, err
	}
	cursor, _ := p.singleValue("cursor")
	q.Cursor = history.Cursor(cursor)
	return q, a.parseRange(p, &q)
}

// degradedTimeout bounds the time for history while etcd is known not to answer.
const degradedTimeout = 3 * time.Second

// answerPage answers with a page of history, or, in a form that can be streamed, with all pages.
func (a *API) answerPage(c *fiber.Ctx, p params, s *live.State, q history.Query) error {
	form, err := formOf(c, p)
	if err != nil {
		return err
	}
	if err := checkExplain(&q, form); err != nil {
		return err
	}
	by, grouped, err := p.parseGroup()
	if err != nil {
		return err
	}
	columns, err := p.wantsColumns(&q)
	if err != nil {
		return err
	}
	if grouped {
		return a.answerGroups(c, s, q, by, form)
	}
	if columns {
		return a.answerColumns(c, s, q, form)
	}
	if form != asJSON {
		_, limited := p.singleValue("limit")
		return a.streamPages(c, s, q, form, limited)
	}
	ctx, cancel := a.historyContext(c)
	defer cancel()
	if q.Step != 0 {
		page, err := a.past.Buckets(ctx, s, q)
		if err != nil {
			return a.historyError(ctx, err)
		}
		return a.answerBuckets(c, s, q, page)
	}
	page, err := a.past.Telemetry(ctx, s, q)
	if err != nil {
		return a.historyError(ctx, err)
	}
	w := a.beginAnswer(s, entriesSize(page.Entries))
	w.Open('[')
	for i := range page.Entries {
		w.writeEntry(a.names, &page.Entries[i])
	}
	w.Close(']')
	w.Text("next_cursor", string(page.Next))
	w.writePlan(q.Plan, s)
	return w.finishAnswer(c, len(page.Entries))
}

// historyContext returns a context that bounds the time for history and for events, which are read from etcd.
func (a *API) historyContext(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	timeout := a.cfg.Timeout
	if a.feeds.IsBehind() {
		timeout = min(timeout, degradedTimeout)
	}
	return context.WithTimeout(c.UserContext(), timeout)
}

// historyError returns the answer for an error of history.
func (a *API) historyError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && a.feeds.IsBehind():
		return &Error{http.StatusServiceUnavailable, Unavailable,
			"history is read from etcd, which does not answer; the latest readings are still served, with their age", err}
	case errors.Is(err, history.ErrCursor):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded): // err may be etcd's own word for it
		return &Error{http.StatusGatewayTimeout, Timeout, "the answer took too long; ask for a shorter range or a smaller limit", err}
	case errors.Is(err, history.ErrPoints):
		return &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: history.ErrPoints.Error()}
	case history.PermanentError(err) != nil:
		return &Error{http.StatusServiceUnavailable, Unavailable, history.PermanentError(err).Error(), err}
	default:
		return &Error{http.StatusServiceUnavailable, Unavailable, "history cannot be read at the moment; try again", err}
	}
}

// entriesSize returns the approximate number of JSON bytes of entries, judged by the first.
func entriesSize(entries []projections.Entry) int {
	if len(entries) == 0 {
		return 0
	}
	first := &entries[0]
	return len(entries) * (384 + 32*len(first.Identity.Labels) + 64*len(first.Readings))
}

// writeOrigin writes the origin of an entry. Consecutive entries are mostly from the same GPU, so the last text is
// kept.
func (w *writer) writeOrigin(e *projections.Entry) {
	if of := (origin{e.Host, e.Entity, e.Identity}); w.lastOrigin != of {
		var text writer
		text.writeEntity(e.Host, e.Entity, e.Identity)
		w.lastOrigin, w.originText = of, text.Buf
	}
	if len(w.originText) > 0 {
		w.Comma()
		w.Buf = append(w.Buf, w.originText...)
	}
}

// writeEntry writes one entry.
func (w *writer) writeEntry(fields namedFields, e *projections.Entry) {
	w.openItem()
	w.Time("timestamp", e.At)
	w.writeOrigin(e)
	if w.layout.matchReadings(fields, len(e.Readings), func(i int) (string, events.Value) { return e.Readings[i].Metric(), e.Readings[i].Value() }) {
		w.writeWithLayout()
	} else {
		w.unusual = w.unusual[:0]
		for _, r := range e.Readings {
			w.unusual = append(w.unusual, projections.Latest{Metric: r.Metric(), Source: r.Source(), At: e.At, Value: r.Value()})
		}
		w.writeWithoutLayout(fields, w.unusual, false)
	}
	w.Close('}')
}
