package ingest

import (
	"context"
	"iter"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
)

// projector is what ingest needs of the projections.
type projector interface {
	// WaitVisible returns nil once everything up to the given positions, by partition, is visible in the
	// active generation.
	WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error
	// WatchFolded gives how far partitions are folded in the active generation, then what changes of that,
	// until ctx ends or it cannot be known.
	WatchFolded(ctx context.Context) iter.Seq2[map[events.Partition]events.Revision, error]
}

// upload answers POST and PUT /api/v1/csv/upload.
func (s *Server) upload(c *fiber.Ctx) error {
	o := newOutcome()
	c.Set(fiber.HeaderXRequestID, string(o.id))
	p, err := parseParameters(c.Queries(), s.cfg.Zone, o.began)
	if err == nil && p.async {
		return s.postpone(c, o, p)
	}
	if err == nil {
		err = caught(func() error { return s.receive(c, o, p) })
	}
	if err != nil {
		o.ended = err
		o.finish("")
	}
	if p.wait && o.ended == nil {
		o.ended = caught(func() error { s.await(o); return nil })
	}
	if err := s.answer(c, o); err != nil {
		return err
	}
	status := c.Response().StatusCode()
	s.totals.answered(status, o.whole)
	s.logged(o, status)
	return nil
}

// receive takes an upload in, one of a bounded number, and is done with its body when it returns. An error
// means that no file was looked at.
func (s *Server) receive(c *fiber.Ctx, o *outcome, p parameters) error {
	live := isLive(c, p)
	gate, until := s.gate, s.uploads
	if live {
		gate, until = s.streamGate, s.streams
	}
	leave, err := s.enter(s.uploads, gate, p)
	if err != nil {
		return err
	}
	defer leave()
	b, src, err := s.openSource(c, p)
	if err != nil {
		return err
	}
	release := b.stopWith(until)
	defer release()
	if live {
		k := s.know(b, src, o)
		defer k.end()
		src = k
	}
	s.takeAll(s.uploads, src, p, o)
	if src.trouble() != "" {
		s.closeGently(c)
	}
	return nil
}

// enter takes one of the places for uploads, when the log can take more; whoever gets one leaves. What is not
// to be appended needs no more than the place.
func (s *Server) enter(ctx context.Context, g *gate, p parameters) (leave func(), err error) {
	admit := s.admission.admit
	if p.dryRun {
		admit = func() error { return nil }
	}
	if err := admit(); err != nil {
		return nil, err
	}
	if err := g.enter(ctx); err != nil {
		return nil, err
	}
	if err := admit(); err != nil { // it may have waited for its turn
		g.leave()
		return nil, err
	}
	s.totals.inFlight.Add(1)
	return func() { s.totals.inFlight.Add(-1); g.leave() }, nil
}

// await waits until what an upload reached is visible, in nobody's way: the upload has left the gate. When
// that takes too long, or the server stops, the files are stored all the same, and the receipts say so.
func (s *Server) await(o *outcome) {
	reached := o.reached()
	if len(reached) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.waits, s.cfg.WaitTimeout)
	defer cancel()
	if err := s.folded.WaitVisible(ctx, reached); err != nil {
		o.unseen()
		s.lg.Warn("waiting for an upload to be visible", "upload", o.id, "err", err)
	}
	o.whole.ProcessedAt = time.Now().UTC()
}
