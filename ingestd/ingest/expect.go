package ingest

import (
	"encoding/json"
	"mime"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline"
)

// answerExpect answers Expect: 100-continue: with 100, so that the client sends the body, or with the refusal that
// the header alone causes, so that it need not.
func (s *Server) answerExpect(ctx *fasthttp.RequestCtx) int {
	r := s.refusalByHeader(ctx)
	if r == nil {
		return fasthttp.StatusContinue
	}
	body, err := json.Marshal(answer.Failure{Error: r.Text, Code: r.Code})
	if err != nil { // it is made of two texts
		return fasthttp.StatusExpectationFailed
	}
	ctx.SetContentType(fiber.MIMEApplicationJSON)
	ctx.SetBody(body)
	if r.RetryAfter > 0 {
		ctx.Response.Header.Set(fiber.HeaderRetryAfter, strconv.Itoa(wholeSeconds(r.RetryAfter)))
	}
	return r.Status
}

// refusalByHeader returns the refusal for which a request's header is enough; nil when there is none.
func (s *Server) refusalByHeader(ctx *fasthttp.RequestCtx) *answer.Refusal {
	h := &ctx.Request.Header
	request := fiberguard.FromHeader(ctx)
	principal, refused := s.admitByHeader(ctx, request)
	if r, ok := accessRefusal(refused); ok {
		if r.Status == fiber.StatusUnauthorized {
			ctx.Response.Header.Set(fiber.HeaderWWWAuthenticate, fiberguard.Challenge)
		}
		return r
	}
	kind, _, err := mime.ParseMediaType(string(h.ContentType()))
	if err == nil && kind != fiber.MIMEMultipartForm {
		err = intake.CheckRawType(kind)
	} else {
		err = nil
	}
	p, wrong := pipeline.ParseParameters(queryParameters(ctx), s.cfg.Zone, time.Now())
	wait := s.limiter.waitTime(access.CallerKey(principal, s.gate.Address(request)), time.Now())
	switch {
	case err != nil:
	case wait > 0:
		err = s.limiter.refuseClient(wait)
	case wrong != nil:
		err = wrong
	case s.checkAsync(p) != nil:
		err = s.checkAsync(p)
	case int64(h.ContentLength()) > s.intake.BodyLimit(kind):
		err = answer.TooLarge(s.cfg.MaxUploadSize)
	case s.slots.isClosed():
		err = answer.ServerStopping()
	case !p.DryRun && !p.Async: // those two need no room in etcd now
		err = s.admission.admitUpload()
	}
	if err == nil {
		return nil
	}
	return answer.RefusalOf(err)
}

// queryParameters returns the parameters of a request as fiber does.
func queryParameters(ctx *fasthttp.RequestCtx) map[string]string {
	all := map[string]string{}
	for name, text := range ctx.QueryArgs().All() {
		all[string(name)] = string(text)
	}
	return all
}
