package ingest

import (
	"encoding/json"
	"mime"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// expect answers Expect: 100-continue: 100, so that the client sends the body, or what the upload would be
// refused with for its header alone, so that it need not.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	r := s.foresee(ctx)
	if r == nil {
		return fasthttp.StatusContinue
	}
	body, err := json.Marshal(failure{Error: r.text, Code: r.code})
	if err != nil { // it is made of two texts
		return fasthttp.StatusExpectationFailed
	}
	ctx.SetContentType(fiber.MIMEApplicationJSON)
	ctx.SetBody(body)
	if r.retryAfter > 0 {
		ctx.Response.Header.Set(fiber.HeaderRetryAfter, strconv.Itoa(seconds(r.retryAfter)))
	}
	return r.status
}

// foresee finds what a request's header is enough to refuse an upload for; nil when nothing is.
func (s *Server) foresee(ctx *fasthttp.RequestCtx) *refusal {
	h := &ctx.Request.Header
	kind, _, err := mime.ParseMediaType(string(h.ContentType()))
	if err == nil && kind != fiber.MIMEMultipartForm {
		err = checkRawType(kind)
	} else {
		err = nil
	}
	p, wrong := parseParameters(queries(ctx), s.cfg.Zone, time.Now())
	wait := s.limiter.exceeded(client(string(h.Peek(fiber.HeaderAuthorization)), ctx.RemoteIP()), time.Now())
	switch {
	case err != nil:
	case wait > 0:
		err = s.tooOften(wait)
	case wrong != nil:
		err = wrong
	case int64(h.ContentLength()) > s.bodyLimit(kind):
		err = tooLarge(s.cfg.MaxUploadSize)
	case s.gate.isClosed():
		err = stopping()
	case !p.dryRun && !p.async: // those two need no room in etcd now
		err = s.admission.admit()
	}
	if err == nil {
		return nil
	}
	return asRefusal(err)
}

// queries gives the parameters of a request as fiber does.
func queries(ctx *fasthttp.RequestCtx) map[string]string {
	all := map[string]string{}
	for name, text := range ctx.QueryArgs().All() {
		all[string(name)] = string(text)
	}
	return all
}
