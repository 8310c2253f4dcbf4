package ingest

import (
	"errors"
	"log/slog"
	"net"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/ingestd/answer"
)

// uploadPath is where files are sent to.
const uploadPath = "/api/v1/csv/upload"

// newGate returns the gate of the upload server. It refuses an address that other machines reach if nobody said who may use it.
func newGate(cfg Config, lg *slog.Logger) (*access.Gate, error) {
	guard := cfg.Guard
	if guard == nil {
		var err error
		if guard, err = access.New(access.Config{}, "", lg); err != nil {
			return nil, err
		}
	}
	loopback := isLoopback(cfg.Host)
	if !cfg.Off {
		if err := guard.CheckExposed("http.host", cfg.Host, loopback); err != nil {
			return nil, err
		}
	}
	return guard.NewGate(loopback), nil
}

// isLoopback reports whether only this machine reaches a host. To be replaced by listen.IsLoopback.
func isLoopback(host string) bool {
	if host == "" || strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

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
