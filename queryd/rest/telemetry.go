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

// telemetry answers GET /api/v1/telemetry.
func (a *API) telemetry(c *fiber.Ctx) error {
	p, err := parameters(c, "host_id", "gpu_id", "metric", "start_time", "end_time", "step", "agg", "limit", "cursor", "order", "format", "wait")
	if err != nil {
		return err
	}
	q, err := a.query(p)
	if err != nil {
		return err
	}
	if q.Hosts, err = p.hosts(); err != nil {
		return err
	}
	if q.GPUs, err = p.gpus(q.Hosts); err != nil {
		return err
	}
	s, err := a.state(c, p)
	if err != nil {
		return err
	}
	return a.answerPage(c, p, s, q)
}

// gpuTelemetry answers GET /api/v1/gpus/{id}/telemetry.
func (a *API) gpuTelemetry(c *fiber.Ctx) error {
	p, err := parameters(c, "metric", "start_time", "end_time", "step", "agg", "limit", "cursor", "order", "format", "wait")
	if err != nil {
		return err
	}
	q, err := a.query(p)
	if err != nil {
		return err
	}
	s, err := a.state(c, p)
	if err != nil {
		return err
	}
	g, err := findGPU(c, s)
	if err != nil {
		return err
	}
	q.GPUs = []events.GPUID{g.ID}
	return a.answerPage(c, p, s, q)
}

// query reads the parameters that every history query takes.
func (a *API) query(p params) (q history.Query, err error) {
	if q.Limit, err = p.limit(history.MaxLimit, defaultLimit); err != nil {
		return q, err
	}
	if q.Oldest, err = p.oldest(); err != nil {
		return q, err
	}
	if q.Metrics, err = p.metrics(); err != nil {
		return q, err
	}
	if err = p.step(&q); err != nil {
		return q, err
	}
	cursor, _ := p.one("cursor")
	q.Cursor = history.Cursor(cursor)
	return q, a.span(p, &q)
}

// degradedPatience is how long history may take while etcd is known not to answer.
const degradedPatience = 3 * time.Second

// answerPage asks history and answers with a page, or in a form that can be streamed with all of them.
func (a *API) answerPage(c *fiber.Ctx, p params, s *live.State, q history.Query) error {
	form, err := formOf(c, p)
	if err != nil {
		return err
	}
	if form != asJSON {
		_, limited := p.one("limit")
		return a.stream(c, s, q, form, limited)
	}
	ctx, cancel := a.patience(c)
	defer cancel()
	if q.Step != 0 {
		page, err := a.past.Buckets(ctx, s, q)
		if err != nil {
			return a.explain(ctx, err)
		}
		return a.answerBuckets(c, s, q, page)
	}
	page, err := a.past.Telemetry(ctx, s, q)
	if err != nil {
		return a.explain(ctx, err)
	}
	w := a.begin(s, entriesSize(page.Entries))
	w.Open('[')
	for i := range page.Entries {
		w.entry(a.names, &page.Entries[i])
	}
	w.Close(']')
	w.Text("next_cursor", string(page.Next))
	return w.finish(c, len(page.Entries))
}

// patience bounds the time that history may take.
func (a *API) patience(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	timeout := a.cfg.Timeout
	if a.view.Degraded() != nil {
		timeout = min(timeout, degradedPatience)
	}
	return context.WithTimeout(c.UserContext(), timeout)
}

// explain gives an error of history the form of an answer.
func (a *API) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && a.view.Degraded() != nil:
		return &Error{http.StatusServiceUnavailable, Unavailable,
			"history is read from etcd, which does not answer; the latest readings are still served, with their age", err}
	case errors.Is(err, history.ErrCursor), ctx.Err() != nil:
		return err
	case history.PermanentError(err) != nil:
		return &Error{http.StatusServiceUnavailable, Unavailable, history.PermanentError(err).Error(), err}
	default:
		return &Error{http.StatusServiceUnavailable, Unavailable, "history cannot be read at the moment; try again", err}
	}
}

// entriesSize is about how many bytes the JSON of entries takes, judged by the first.
func entriesSize(entries []projections.Entry) int {
	if len(entries) == 0 {
		return 0
	}
	first := &entries[0]
	return len(entries) * (384 + 32*len(first.Identity.Labels) + 64*len(first.Readings))
}

// origin writes where an entry is from. Entries that follow each other mostly are from the same GPU, so the text
// of the last one is kept.
func (w *writer) origin(e *projections.Entry) {
	if of := (origin{e.Host, e.Entity, e.Identity}); w.lastOrigin != of {
		var text writer
		text.entity(e.Host, e.Entity, e.Identity)
		w.lastOrigin, w.originText = of, text.Buf
	}
	if len(w.originText) > 0 {
		w.Comma()
		w.Buf = append(w.Buf, w.originText...)
	}
}

// entry writes one entry.
func (w *writer) entry(fields names, e *projections.Entry) {
	w.Open('{')
	w.Time("timestamp", e.At)
	w.origin(e)
	if w.layout.fits(fields, len(e.Readings), func(i int) (string, events.Value) { return e.Readings[i].Metric(), e.Readings[i].Value() }) {
		w.laidOut()
	} else {
		w.unusual = w.unusual[:0]
		for _, r := range e.Readings {
			w.unusual = append(w.unusual, projections.Latest{Metric: r.Metric(), Source: r.Source(), At: e.At, Value: r.Value()})
		}
		w.unlike(fields, w.unusual, false)
	}
	w.Close('}')
}
