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
	Files []fileAnswer `json:"files,omitempty"` // of an upload of several files
}

type failure struct {
	Success  bool         `json:"success"` // always false
	Error    string       `json:"error"`
	Code     string       `json:"code"`
	*receipt              // nil when the request never came to a file
	Files    []fileAnswer `json:"files,omitempty"`
}

// fileAnswer is what became of one of several files.
type fileAnswer struct {
	Success bool   `json:"success"`
	Error   string `json:"error,omitempty"`
	Code    string `json:"code,omitempty"`
	*receipt
}

// answer sends the receipts of an upload, or its error with what was stored all the same.
func (s *Server) answer(c *fiber.Ctx, o *outcome) error {
	err := o.err()
	if err == nil {
		return c.Status(o.status()).JSON(o.told())
	}
	r := classify(c, err)
	if r.retryAfter > 0 {
		s.totals.refused.WithLabelValues(r.code).Inc()
	}
	return s.send(c, r, o.refused(r))
}

// told is the answer of an upload of which everything was taken.
func (o *outcome) told() success { return success{true, o.whole, o.fileAnswers()} }

// refused is the answer of an upload that has an error, with what was stored all the same.
func (o *outcome) refused(r *refusal) failure {
	if o.whole.Size == 0 && len(o.files) < 2 {
		return failure{Error: r.text, Code: r.code}
	}
	text := r.text
	if r.code != codeSomeRefused {
		text += "; " + o.whole.stored()
	}
	return failure{Error: text, Code: r.code, receipt: o.whole, Files: o.fileAnswers()}
}

// fileAnswers are the receipts of several files; nil for one.
func (o *outcome) fileAnswers() []fileAnswer {
	if len(o.files) < 2 {
		return nil
	}
	out := make([]fileAnswer, len(o.files))
	for i, t := range o.files {
		out[i] = fileAnswer{Success: t.err == nil, receipt: t.receipt}
		if t.err != nil {
			r := asRefusal(t.err)
			out[i].Error, out[i].Code = r.text, r.code
		}
	}
	return out
}

// fail answers the errors of every other request.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	r := classify(c, err)
	if r.code == codeInternal {
		s.lg.Error("request failed", "path", c.Path(), "err", err)
	}
	return s.send(c, r, failure{Error: r.text, Code: r.code})
}

func (s *Server) send(c *fiber.Ctx, r *refusal, told failure) error {
	if r.retryAfter > 0 {
		retryAfter(c, r.retryAfter)
	}
	s.closeGently(c)
	return c.Status(r.status).JSON(told)
}

// classify finds the refusal in an error of a request. Fiber's own errors are read by their status.
func classify(c *fiber.Ctx, err error) *refusal {
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
	return asRefusal(err)
}

// asRefusal finds the refusal in an error. Any other error is masked: its text is for the log.
func asRefusal(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
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

// logged writes the one line that a file leaves in the log, and the one of an upload that has none.
func (s *Server) logged(o *outcome, status int) {
	if len(o.files) == 0 {
		s.lg.Warn("upload", "upload", o.id, "status", status, "err", whole(o.err()))
	}
	for _, t := range o.files {
		level := slog.LevelInfo
		attrs := []any{
			"upload", t.FileID, "status", status, "dialect", t.Dialect, "bytes", t.Size, "accepted", t.Accepted,
			"duplicate", t.Duplicate, "rejected", t.Rejected, "took", t.ProcessedAt.Sub(t.UploadedAt).String(),
		}
		if t.err != nil {
			level, attrs = slog.LevelWarn, append(attrs, "err", whole(t.err))
		}
		s.lg.Log(s.uploads, level, "upload", attrs...)
	}
	if o.ended != nil && len(o.files) > 0 && o.files[len(o.files)-1].err == nil {
		s.lg.Warn("upload ended before its last file", "upload", o.id, "files", len(o.files), "err", whole(o.ended))
	}
}

// whole is an error for the log, with what lies behind a refusal.
func whole(err error) error {
	if r, ok := errors.AsType[*refusal](err); ok && r.cause != nil {
		return fmt.Errorf("%w: %w", err, r.cause)
	}
	return err
}
