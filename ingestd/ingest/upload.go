package ingest

import (
	"cmp"
	"io"
	"mime"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/jobs"
	"telemetry-pipeline/ingestd/pipeline"
)

// answerUpload answers POST and PUT /api/v1/csv/upload.
func (s *Server) answerUpload(c *fiber.Ctx) error {
	o := answer.NewOutcome()
	nameRequest(c, o.ID)
	p, err := pipeline.ParseParameters(c.Queries(), s.cfg.Zone, o.BeganAt)
	p.Sender = pipeline.SenderOf(principalOf(c))
	if err == nil {
		err = s.checkAsync(p)
	}
	if err == nil && p.Async {
		return s.uploadAsync(c, o, p)
	}
	if err == nil {
		err = pipeline.RecoverToError(func() error { return s.receiveUpload(c, o, p) })
	}
	if err != nil {
		o.Ended = err
		o.SumUp("")
	}
	if p.Wait && o.Ended == nil {
		o.Ended = pipeline.RecoverToError(func() error { s.runner.AwaitVisible(c.UserContext(), o); return nil })
	}
	return s.sendUpload(c, o)
}

// nameRequest makes an upload's id the id of its request, unless the client sent one. The lines of the log have both.
func nameRequest(c *fiber.Ctx, id events.UploadID) {
	if c.Get(fiber.HeaderXRequestID) != fiberguard.RequestOf(c).ID {
		fiberguard.SetRequestID(c, string(id))
	}
	trace.Of(c.UserContext()).SetText("telemetry.upload", string(id))
}

// sendUpload answers an upload that has ended, and records it.
func (s *Server) sendUpload(c *fiber.Ctx, o *answer.Outcome) error {
	if err := s.responder.answerUpload(c, o); err != nil {
		return err
	}
	s.recordAction(c, uploadDetail(o, c.Response().StatusCode())...)
	return nil
}

// receiveUpload processes an upload, one of a bounded number, and does not read its body after it returns. An error
// means that no file was looked at.
func (s *Server) receiveUpload(c *fiber.Ctx, o *answer.Outcome, p pipeline.Parameters) error {
	live := isLive(c, p)
	among, places, until := s.slots, int64(1), s.uploads
	bytes, small := smallUploadBytes(c)
	switch {
	case live:
		among, until = s.streamSlots, s.streams
	case small:
		among, places = s.smallSlots, bytes
	}
	leave, err := s.runner.acquireFrom(s.uploads, among, places, p)
	if err != nil {
		return err
	}
	defer leave()
	b, src, err := openBody(c, p, s.intake)
	if err != nil {
		return err
	}
	if !small {
		valid, end := s.bindCredentials(until, principalOf(c))
		defer end()
		until = valid
	}
	release := b.StopWith(until)
	defer release()
	if live {
		tracker := jobs.TrackStream(s.states, b, src, o, p.Sender.OwnerID())
		defer tracker.PublishEnd()
		src = tracker
	}
	if small {
		src = &smallSource{src, s.slots, p.Sender.OwnerID()}
	}
	s.runner.ProcessUpload(trace.WithTraceOf(s.uploads, c.UserContext()), src, p, o)
	if src.Warning() != "" {
		s.responder.closeGently(c)
	}
	return nil
}

// openBody returns the files in a request's body.
func openBody(c *fiber.Ctx, p pipeline.Parameters, cfg intake.Config) (*intake.Body, intake.Source, error) {
	var text io.Reader = c.Context().RequestBodyStream()
	if text == nil {
		text = strings.NewReader("") // a request without a body
	}
	return intake.Open(intake.Request{
		ContentType: c.Get(fiber.HeaderContentType), ContentEncoding: c.Get(fiber.HeaderContentEncoding),
		ContentLength: int64(c.Request().Header.ContentLength()), Name: cmp.Or(p.Name, rawName(c)), Live: isLive(c, p),
		Text: text, SetReadDeadline: c.Context().SetReadDeadline,
	}, cfg)
}

// isLive reports whether a body may still be being written: it is sent in chunks, and is no form.
func isLive(c *fiber.Ctx, p pipeline.Parameters) bool {
	const chunked = -1
	if c.Request().Header.ContentLength() != chunked || p.Async || p.Strict {
		return false
	}
	kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	return err != nil || kind != intake.FormType
}

// rawName returns the file's name by the request's header or path; "" when neither has one.
func rawName(c *fiber.Ctx) string {
	if _, attrs, err := mime.ParseMediaType(c.Get(fiber.HeaderContentDisposition)); err == nil && attrs["filename"] != "" {
		return intake.BaseName(attrs["filename"])
	}
	name, err := url.PathUnescape(c.Params("name"))
	if err != nil {
		name = c.Params("name")
	}
	return intake.BaseName(name)
}
