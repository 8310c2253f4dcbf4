package ingest

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/ingestd/answer"
)

// uploadPath is where files are sent to.
const uploadPath = "/api/v1/csv/upload"

// admitByHeader returns the principal of an upload whose header has been read and whose body has not, or the refusal.
func (s *Server) admitByHeader(ctx *fasthttp.RequestCtx, r *access.Request) (*access.Principal, error) {
	r.Route = uploadPath
	if err := s.gate.CheckSite(r); err != nil {
		return nil, err
	}
	return s.gate.Admit(ctx, r, access.Ingest)
}

// principalOf returns the principal of an admitted request.
func principalOf(c *fiber.Ctx) *access.Principal { return access.PrincipalFrom(c.UserContext()) }

// recordAction writes a request that was allowed to the audit log.
func (s *Server) recordAction(c *fiber.Ctx, detail ...slog.Attr) {
	r := fiberguard.RequestOf(c)
	s.gate.Record(access.Action{
		RequestID: r.ID, Principal: principalOf(c), Address: s.gate.Address(r), Method: r.Method, Route: r.Route, Decision: access.Allowed, Detail: detail,
	})
}

// bindCredentials returns a context that ends with ctx, and with a refusal as its cause when the credentials of a principal
// expire or are revoked. Call end when the principal's request is over.
func (s *Server) bindCredentials(ctx context.Context, p *access.Principal) (bound context.Context, end func()) {
	valid, endSession := s.gate.Bind(ctx, p)
	bound, cancel := context.WithCancelCause(ctx)
	release := context.AfterFunc(valid, func() {
		if cause := context.Cause(valid); errors.Is(cause, access.ErrExpired) || errors.Is(cause, access.ErrRevoked) {
			cancel(answer.Refuse(answer.CodeUnauthenticated, "%v", cause))
		}
	})
	return bound, func() { release(); endSession(); cancel(nil) }
}

// callerOf returns the key by which an admitted request counts for its sender: the principal, else the address.
func (s *Server) callerOf(c *fiber.Ctx) string {
	return access.CallerKey(principalOf(c), s.gate.Address(fiberguard.RequestOf(c)))
}

// accessRefusal returns the answer to a request that is not allowed; ok is false for every other error.
func accessRefusal(err error) (r *answer.Refusal, ok bool) {
	refused, ok := errors.AsType[*access.Refusal](err)
	if !ok {
		return nil, false
	}
	return &answer.Refusal{Status: refused.Status, Code: string(refused.Code), Text: refused.Text, RetryAfter: refused.RetryAfter}, true
}
