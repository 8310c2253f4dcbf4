package query

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"telemetry-pipeline/queryd/rest"
)

// uploadPath is where the gateway of earlier systems took uploads, and where ingestd takes them.
const uploadPath = "/api/v1/csv/upload"

// UploadURL is the address to which uploads that come to the query server are redirected. The zero value redirects none.
type UploadURL struct{ target string }

// String returns the form that Set takes.
func (u *UploadURL) String() string { return u.target }

// Set parses an absolute address; one without a path means ingestd's.
func (u *UploadURL) Set(text string) error {
	if text == "" {
		u.target = ""
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return fmt.Errorf("%q is no absolute address; write one such as https://telemetry.example:8081%s", text, uploadPath)
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return fmt.Errorf("%q has a user, a query or a fragment; write the address alone, such as https://telemetry.example:8081%s", text, uploadPath)
	}
	if parsed.Path == "" || parsed.Path == "/" {
		parsed.Path = uploadPath
	}
	u.target = parsed.String()
	return nil
}

// redirectUpload answers an upload that came to the query server: 308 with the configured address, which has clients send the
// same body there, else 410 with what to do.
func (s *front) redirectUpload(c *fiber.Ctx) error {
	if s.cfg.UploadURL.target == "" {
		return &rest.Error{Status: http.StatusGone, Code: rest.Moved, Text: "uploads have moved from the gateway to the streamer (ingestd): send the same request to port 8081 there, " +
			"http://STREAMER:8081" + uploadPath + "; its operator can have them redirected from here (flag query.upload-url, environment QUERY_UPLOAD_URL)"}
	}
	target := s.cfg.UploadURL.target
	if _, query, found := strings.Cut(c.OriginalURL(), "?"); found {
		target += "?" + query
	}
	c.Set(fiber.HeaderLocation, target)
	return &rest.Error{Status: http.StatusPermanentRedirect, Code: rest.Moved, Text: "uploads have moved to " + s.cfg.UploadURL.target + ": send the same request there (curl -L does)"}
}

// isUpload reports whether a request is an upload, whose body is not looked at.
func isUpload(method, path string) bool {
	return method == http.MethodPost && strings.EqualFold(strings.TrimSuffix(path, "/"), uploadPath)
}

// answerExpect answers Expect: 100-continue. An upload is answered by its header, so that the client keeps its body.
func (s *front) answerExpect(ctx *fasthttp.RequestCtx) int {
	if !isUpload(string(ctx.Method()), string(ctx.Path())) {
		return fasthttp.StatusContinue
	}
	s.app.Handler()(ctx)
	return ctx.Response.StatusCode()
}

// isUnreadUpload reports whether an error is about an upload whose body is larger than the server reads.
func isUnreadUpload(c *fiber.Ctx, err error) bool {
	e, ok := errors.AsType[*fiber.Error](err)
	return ok && e.Code == http.StatusRequestEntityTooLarge && isUpload(c.Method(), c.Path())
}
