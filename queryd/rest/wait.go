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
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// requestState returns the view of the scope of a request: the current one, or with ?wait=<revision> one that holds everything up
// to that revision.
func (a *API) requestState(ctx context.Context, p params) (*live.State, error) {
	feed, err := a.feeds.In(access.ScopeFrom(ctx))
	if err != nil {
		return nil, &Error{http.StatusServiceUnavailable, Unavailable, "the view of your scope cannot be served at the moment; try again later", err}
	}
	if text, given := p.singleValue("wait"); given {
		rev, err := a.parseRevision(text)
		if err != nil {
			return nil, err
		}
		return a.waitForRevision(ctx, feed, rev)
	}
	if err := feed.Ready(); err != nil {
		return nil, &Error{http.StatusServiceUnavailable, NotReady, "the view is being loaded; try again in a moment", err}
	}
	return feed.State(), nil
}

// parseRevision parses a position in the log: a token from the answer to an upload, or its number alone.
func (a *API) parseRevision(text string) (events.Revision, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return events.Revision{Epoch: a.facts.Epoch, Cluster: a.facts.Cluster, Number: n}, nil
	}
	rev, err := events.ParseRevision(text)
	if err != nil {
		return events.Revision{}, badParameter("wait", text, "a revision from the answer to an upload")
	}
	return rev, nil
}

// waitForRevision waits for a revision, until the configured limit or until the server stops.
func (a *API) waitForRevision(ctx context.Context, feed *live.Feed, rev events.Revision) (*live.State, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.MaxWait)
	defer cancel()
	defer context.AfterFunc(a.waitContext, cancel)()
	s, err := feed.Wait(ctx, rev)
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, events.ErrForeign):
		return nil, &Error{http.StatusBadRequest, ForeignRevision, fmt.Sprintf("parameter wait=%q: %v", rev, events.ErrForeign), err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		text := fmt.Sprintf("revision %d is not visible after %s (visible: %d); ask again", rev.Number, a.cfg.MaxWait, feed.State().Folded().Number)
		return nil, &Error{http.StatusGatewayTimeout, WaitTimeout, text, err}
	default:
		return nil, &Error{http.StatusServiceUnavailable, NotReady, "waiting for a revision ended early; try again in a moment", err}
	}
}

// beginAnswer starts the envelope of a successful answer, up to the data.
func (a *API) beginAnswer(s *live.State, size int) *writer {
	w := a.newWriter(256 + size)
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	if a.feeds.IsBehind() {
		w.Key("as_of")
		w.StringValue(s.AsOf().UTC().Format(time.RFC3339Nano))
	}
	w.Key("data")
	return w
}

// finishAnswer ends the envelope and sends the answer.
func (w *writer) finishAnswer(c *fiber.Ctx, count int) error {
	w.Whole("count", int64(count))
	w.Close('}')
	return w.sendBody(c)
}
