package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gofiber/fiber/v2"
)

type success struct {
	Success bool `json:"success"` // always true
	*receipt
}

type failure struct {
	Success  bool   `json:"success"` // always false
	Error    string `json:"error"`
	Code     string `json:"code"`
	*receipt        // nil when the request never came to a file
}

// answer sends the receipt of an upload, or the error with what was stored before it.
func (s *Server) answer(c *fiber.Ctx, rec *receipt, err error) error {
	if err == nil {
		if rec.Status == statusStored {
			c.Status(fiber.StatusAccepted)
		}
		return c.JSON(success{true, rec})
	}
	r := classify(c, err)
	if r.retryAfter > 0 {
		s.totals.refused.WithLabelValues(r.code).Inc()
	}
	if rec.Size == 0 {
		return s.send(c, r, nil)
	}
	rec.Status = statusRefused
	if rec.RecordCount > 0 {
		rec.Status = statusPartial
	}
	told := *r
	told.text += "; " + rec.stored()
	return s.send(c, &told, rec)
}

// fail answers the errors of every other request.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	r := classify(c, err)
	if r.code == codeInternal {
		s.lg.Error("request failed", "path", c.Path(), "err", err)
	}
	return s.send(c, r, nil)
}

func (s *Server) send(c *fiber.Ctx, r *refusal, rec *receipt) error {
	if r.retryAfter > 0 {
		retryAfter(c, r.retryAfter)
	}
	s.closeGently(c)
	return c.Status(r.status).JSON(failure{Error: r.text, Code: r.code, receipt: rec})
}

// classify finds the refusal in an error. Fiber's own errors are read by their status, and any other is
// masked: its text is for the log.
func classify(c *fiber.Ctx, err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if f, ok := errors.AsType[*fiber.Error](err); ok {
		switch {
		case f.Code == fiber.StatusNotFound:
			return refuse(f.Code, codeNotFound, "nothing is served at %s; files go to POST /api/v1/csv/upload", c.Path())
		case f.Code == fiber.StatusMethodNotAllowed:
			return refuse(f.Code, codeMethod, "%s does not take %s; files go to POST /api/v1/csv/upload", c.Path(), c.Method())
		case f.Code == fiber.StatusRequestTimeout:
			return refuse(f.Code, codeStalled, "the request did not arrive in time; send it again")
		case strings.Contains(f.Message, "EOF"):
			return truncated(err)
		case f.Code < fiber.StatusInternalServerError:
			return refuse(f.Code, codeBadRequest, "the request could not be read: %s", strings.TrimPrefix(f.Message, "fasthttp: "))
		}
	}
	return refuse(fiber.StatusInternalServerError, codeInternal, "the server failed on this request; its log says why")
}

// closeGently ends the connection after the answer when the request has a body: what is left of it must not
// be taken for the next request, and what is still under way must not make the client lose the answer.
func (s *Server) closeGently(c *fiber.Ctx) {
	if c.Context().RequestBodyStream() == nil {
		return
	}
	c.Set(fiber.HeaderConnection, "close")
	if ln := s.ln.Load(); ln != nil {
		ln.linger(c.Context().RemoteAddr())
	}
}

// logged writes the one line that an upload leaves in the log.
func (s *Server) logged(rec *receipt, status int, err error) {
	level := slog.LevelInfo
	attrs := []any{
		"upload", rec.FileID, "status", status, "dialect", rec.Dialect, "bytes", rec.Size, "accepted", rec.Accepted,
		"duplicate", rec.Duplicate, "rejected", rec.Rejected, "took", rec.ProcessedAt.Sub(rec.UploadedAt).String(),
	}
	if err != nil {
		level, attrs = slog.LevelWarn, append(attrs, "err", whole(err))
	}
	s.lg.Log(s.uploads, level, "upload", attrs...)
}

// whole is an error for the log, with what lies behind a refusal.
func whole(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok && r.cause != nil {
		return fmt.Errorf("%w: %w", err, r.cause)
	}
	return err
}
