package ingest

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/jobs"
	"telemetry-pipeline/ingestd/pipeline"
)

// asyncResponse answers an upload with ?async=true.
type asyncResponse struct {
	Success bool       `json:"success"` // always true
	ID      string     `json:"id"`
	Data    uploadView `json:"data"`
}

// checkAsync returns the refusal of an upload with ?async=true by a server that accepts none; nil for all others.
func (s *Server) checkAsync(p pipeline.Parameters) error {
	if !p.Async || !s.cfg.AsyncOff {
		return nil
	}
	return answer.Refuse(answer.CodeAsyncOff,
		"this server keeps no uploads to process them later; send it without async=true and wait for the answer, or ask the operator "+
			"for an upload directory that outlives the server and INGEST_ASYNC=true")
}

// uploadAsync answers an upload once it is on the disk; it is processed in the background.
func (s *Server) uploadAsync(c *fiber.Ctx, o *answer.Outcome, p pipeline.Parameters) error {
	var j *jobs.Job
	err := pipeline.RecoverToError(func() (err error) {
		j, err = s.background.StoreUpload(o, p.Sender, cloneQueries(c), int64(max(c.Request().Header.ContentLength(), 0)), func() (intake.Source, func(), error) {
			b, src, err := openBody(c, p, s.intake)
			if err != nil {
				return nil, nil, err
			}
			valid, end := s.bindCredentials(s.uploads, principalOf(c))
			release := b.StopWith(valid)
			return src, func() { release(); end() }, nil
		})
		return err
	})
	if err != nil {
		o.Ended = err
		o.SumUp("")
		return s.sendUpload(c, o)
	}
	s.background.StartJob(c.UserContext(), j)
	// Another server can report the upload as well when etcd is quick; when it is not, this one can.
	ctx, cancel := context.WithTimeout(s.waits, time.Second)
	defer cancel()
	if err := j.AwaitStored(ctx); err != nil {
		s.lg.DebugContext(c.UserContext(), "an upload is answered before its state is in etcd", "upload", o.ID, "err", err)
	}
	stored := j.Manifest()
	if stored.Warning != "" {
		s.responder.closeGently(c)
	}
	c.Set(fiber.HeaderLocation, uploadsPath+string(o.ID))
	s.lg.InfoContext(c.UserContext(), "upload is to be processed in the background", "upload", o.ID, "files", len(stored.Files), "bytes", j.Size())
	s.recordAction(c, slog.Int("status", fiber.StatusAccepted), slog.Int("files", len(stored.Files)), slog.Int64("bytes", j.Size()))
	return c.Status(fiber.StatusAccepted).JSON(asyncResponse{true, string(o.ID), newUploadView(j.Upload(), true)})
}

// cloneQueries copies the parameters of a request, since the server uses its memory again once it has been answered.
func cloneQueries(c *fiber.Ctx) map[string]string {
	all := map[string]string{}
	for name, text := range c.Queries() {
		all[strings.Clone(name)] = strings.Clone(text)
	}
	return all
}
