package ingest

import (
	"context"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// postponed answers an upload with ?async=true.
type postponed struct {
	Success bool       `json:"success"` // always true
	ID      string     `json:"id"`
	Data    uploadView `json:"data"`
}

// postpone answers an upload once it is on the disk; it is processed in the background.
func (s *Server) postpone(c *fiber.Ctx, o *outcome, p parameters) error {
	var j *job
	err := caught(func() (err error) {
		j, err = s.spool(c, o, p)
		return err
	})
	if err != nil {
		o.ended = err
		o.finish("")
		if err := s.answer(c, o); err != nil {
			return err
		}
		s.totals.answered(c.Response().StatusCode(), o.whole)
		s.logged(o, c.Response().StatusCode())
		return nil
	}
	s.background.start(j)
	// So that another server can tell of it as well, when etcd is quick; when not, this one can.
	ctx, cancel := context.WithTimeout(s.waits, time.Second)
	defer cancel()
	if err := j.handle.Stored(ctx); err != nil {
		s.lg.Debug("an upload is answered before its state is in etcd", "upload", o.id, "err", err)
	}
	if j.entry.Trouble != "" {
		s.closeGently(c)
	}
	c.Set(fiber.HeaderLocation, uploadsPath+string(o.id))
	s.lg.Info("upload is to be processed in the background", "upload", o.id, "files", len(j.entry.Files), "bytes", j.entry.Size())
	return c.Status(fiber.StatusAccepted).JSON(postponed{true, string(o.id), view(j.handle.Upload(), true)})
}

// spool brings all files of a request to the disk, with what is needed to process them there as they would
// have been now.
func (s *Server) spool(c *fiber.Ctx, o *outcome, p parameters) (*job, error) {
	room, err := s.background.room()
	if err != nil {
		return nil, err
	}
	draft, err := room.Begin(o.id, int64(max(c.Request().Header.ContentLength(), 0)))
	if err != nil {
		return nil, spoolRefusal(err)
	}
	defer func() {
		if err := draft.Discard(); err != nil { // nothing, once it is committed
			s.lg.Warn("removing an upload that did not become whole", "upload", o.id, "err", err)
		}
	}()
	b, src, err := s.openSource(c, p)
	if err != nil {
		return nil, err
	}
	release := b.stopWith(s.uploads)
	defer release()
	if err := fillDraft(draft, src); err != nil {
		return nil, spoolRefusal(err)
	}
	query := maps.Collect(cloned(c.Queries()))
	if query["tz"] == "" {
		query["tz"] = s.cfg.Zone // the next process may have another default
	}
	entry, err := draft.Commit(spool.Manifest{
		ID: o.id, Log: s.states.Log(), ReceivedAt: o.began, Query: query, Trouble: src.trouble(),
	})
	if err != nil {
		return nil, spoolRefusal(err)
	}
	return s.newJob(entry, uploads.Upload{}), nil
}

func fillDraft(draft *spool.Draft, src source) error {
	for {
		f, err := src.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := draft.Add(spool.File{Name: f.name}, f); err != nil {
			return err
		}
	}
}

// cloned copies what the server uses again once the request has been answered.
func cloned(queries map[string]string) func(yield func(name, text string) bool) {
	return func(yield func(name, text string) bool) {
		for name, text := range queries {
			if !yield(strings.Clone(name), strings.Clone(text)) {
				return
			}
		}
	}
}
