package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// state gives the view that a request is answered from: the current one, or with ?wait=<revision> one that
// holds everything up to there.
func (a *API) state(c *fiber.Ctx, p params) (*live.State, error) {
	if text, given := p.one("wait"); given {
		rev, err := a.revision(text)
		if err != nil {
			return nil, err
		}
		return a.wait(c.UserContext(), rev)
	}
	if err := a.view.Ready(); err != nil {
		return nil, &Error{http.StatusServiceUnavailable, NotReady, "the view is being loaded; try again in a moment", err}
	}
	return a.view.State(), nil
}

// revision reads a position in the log: a token as the upload's answer gives it, or its number alone.
func (a *API) revision(text string) (events.Revision, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return events.Revision{Epoch: a.facts.Epoch, Cluster: a.facts.Cluster, Number: n}, nil
	}
	rev, err := events.ParseRevision(text)
	if err != nil {
		return events.Revision{}, badParameter("wait", text, "a revision as an upload's answer gives it")
	}
	return rev, nil
}

// wait waits for a revision, as long as the configuration and a server that may stop let it.
func (a *API) wait(ctx context.Context, rev events.Revision) (*live.State, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.MaxWait)
	defer cancel()
	defer context.AfterFunc(a.waits, cancel)()
	s, err := a.view.Wait(ctx, rev)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, events.ErrForeign):
		return nil, &Error{http.StatusBadRequest, ForeignRevision, fmt.Sprintf("parameter wait=%q: %v", rev, events.ErrForeign), err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		text := fmt.Sprintf("revision %d is not visible after %s (visible: %d); ask again", rev.Number, a.cfg.MaxWait, a.view.State().Folded().Number)
		return nil, &Error{http.StatusGatewayTimeout, WaitTimeout, text, err}
	default:
		return nil, &Error{http.StatusServiceUnavailable, NotReady, "waiting for a revision ended early; try again in a moment", err}
	}
}

// begin starts the envelope of a good answer, up to the data.
func (a *API) begin(s *live.State, size int) *writer {
	w := a.writers.get(256 + size)
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	if a.view.Degraded() != nil {
		w.Key("as_of")
		w.Str(s.AsOf().UTC().Format(time.RFC3339Nano))
	}
	w.Key("data")
	return w
}

// finish ends the envelope and answers.
func (w *writer) finish(c *fiber.Ctx, count int) error {
	w.Whole("count", int64(count))
	w.Close('}')
	return w.send(c)
}
