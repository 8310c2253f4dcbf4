package ingest

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/answer"
)

// responder writes the answers of the server.
type responder struct {
	runner *uploadRunner
	totals *totals
	lg     *slog.Logger
	ln     *atomic.Pointer[listener]
}

// answerUpload sends the receipts of an upload, or its error with the receipts of stored records, and counts and logs
// the upload.
func (r *responder) answerUpload(c *fiber.Ctx, o *answer.Outcome) error {
	if err := r.sendOutcome(c, o); err != nil {
		return err
	}
	r.runner.RecordUpload(c.UserContext(), o, c.Response().StatusCode())
	return nil
}

func (r *responder) sendOutcome(c *fiber.Ctx, o *answer.Outcome) error {
	err := o.Err()
	if err == nil {
		return c.Status(o.Status()).JSON(o.Response())
	}
	refused := refusalFor(c, err)
	if refused.RetryAfter > 0 {
		r.totals.refused.WithLabelValues(refused.Code).Inc()
	}
	return r.sendFailure(c, refused, o.ErrorResponse(refused))
}

// answerError answers the errors of every other request.
func (r *responder) answerError(c *fiber.Ctx, err error) error {
	refused := refusalFor(c, err)
	if refused.Code == answer.CodeInternal {
		r.lg.ErrorContext(c.UserContext(), "request failed", "path", c.Path(), "err", err)
	}
	return r.sendFailure(c, refused, answer.Failure{Error: refused.Text, Code: refused.Code})
}

func (r *responder) sendFailure(c *fiber.Ctx, refused *answer.Refusal, body answer.Failure) error {
	if refused.RetryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wholeSeconds(refused.RetryAfter)))
	}
	r.closeGently(c)
	return c.Status(refused.Status).JSON(body)
}

// wholeSeconds returns a time in whole seconds, at least one.
func wholeSeconds(d time.Duration) int { return max(1, int(d.Round(time.Second).Seconds())) }

// refusalFor returns the refusal for an error of a request. Fiber's own errors are read by their status.
func refusalFor(c *fiber.Ctx, err error) *answer.Refusal {
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		switch {
		case strings.HasPrefix(f.Message, "error when reading request headers"): // the rest is the header, which may have a token in it
			return answer.Refuse(answer.CodeBadRequest, "the request cannot be read as HTTP/1.1")
		case f.Code == fiber.StatusNotFound:
			return answer.Refuse(answer.CodeNotFound, "nothing is served at %s; files go to POST /api/v1/csv/upload", c.Path())
		case f.Code == fiber.StatusMethodNotAllowed:
			return answer.Refuse(answer.CodeMethod, "%s does not take %s; files go to POST /api/v1/csv/upload", c.Path(), c.Method())
		case f.Code == fiber.StatusRequestTimeout:
			return answer.Refuse(answer.CodeStalled, "the request did not arrive in time; send it again")
		case strings.Contains(f.Message, "EOF"):
			return answer.TruncatedBody(err)
		case f.Code < fiber.StatusInternalServerError:
			r := answer.Refuse(answer.CodeBadRequest, "the request could not be read: %s", strings.TrimPrefix(f.Message, "fasthttp: "))
			r.Status = f.Code // such as 431
			return r
		}
	}
	if r, ok := accessRefusal(err); ok {
		return r
	}
	return answer.RefusalOf(err)
}

// closeGently ends the connection after the answer when the request has a body: its rest must not be
// taken for the next request, and bytes still under way must not make the client lose the answer.
func (r *responder) closeGently(c *fiber.Ctx) {
	if c.Context().RequestBodyStream() == nil {
		return
	}
	c.Set(fiber.HeaderConnection, "close")
	if ln := r.ln.Load(); ln != nil {
		ln.markGentle(c.Context().RemoteAddr())
	}
}
