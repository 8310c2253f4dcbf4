package ingest

import (
	"context"
	"iter"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/rows"
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

// upload answers POST /api/v1/csv/upload.
func (s *Server) upload(c *fiber.Ctx) error {
	rec := newReceipt()
	c.Set(fiber.HeaderXRequestID, string(rec.FileID))
	err := caught(func() error {
		awaited, err := s.receive(c, rec)
		if err == nil && awaited != nil {
			s.await(awaited, rec)
		}
		return err
	})
	rec.ProcessedAt = time.Now().UTC()
	if answered := s.answer(c, rec, err); answered != nil {
		return answered
	}
	status := c.Response().StatusCode()
	s.totals.answered(status, rec)
	s.logged(rec, status, err)
	return nil
}

// receive takes an upload in, one of a bounded number, and is done with its body when it returns. awaited
// is how far the file reached in the log, if the sender wants to wait for that; nil otherwise.
func (s *Server) receive(c *fiber.Ctx, rec *receipt) (awaited map[events.Partition]events.Revision, err error) {
	if err := s.admission.admit(); err != nil {
		return nil, err
	}
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if err := s.admission.admit(); err != nil { // it may have waited for its turn
		return nil, err
	}
	s.totals.inFlight.Add(1)
	defer s.totals.inFlight.Add(-1)

	params, err := parseParameters(c.Queries(), s.cfg.Zone, rec.UploadedAt)
	if err != nil {
		return nil, err
	}
	form, err := s.openForm(c)
	if err != nil {
		return nil, err
	}
	release := form.stopWith(s.uploads)
	defer release()
	part, err := form.file()
	if err != nil {
		return nil, err
	}
	rec.Filename = baseName(part.FileName())
	reached, err := s.take(s.uploads, newFile(part, s.cfg.MaxUploadSize), form.body, params, rec)
	if err != nil {
		return nil, err
	}
	warning, err := form.rest()
	if err != nil {
		return nil, err
	}
	if warning != "" {
		rec.Warnings = append(rec.Warnings, warning)
		s.closeGently(c)
	}
	if !params.wait {
		return nil, nil
	}
	return reached, nil
}

// take processes one file and fills its receipt, whether it fails or not. It tells how far the file reached
// in the log.
func (s *Server) take(ctx context.Context, f *file, b *body, p parameters, rec *receipt) (map[events.Partition]events.Revision, error) {
	defer func() { rec.Size = f.size }()
	share := s.cfg.MaxMemory / int64(s.cfg.Uploads)
	t, err := detect(f, rows.Options{BlockBytes: blockBytes(share/2, s.cfg.Workers)}, p)
	if err != nil {
		return nil, err
	}
	rec.Dialect, rec.Headers = t.dialect, t.headers

	out := newAppending(s.log, s.admission, max(share/2, 1<<20), s.cfg.AppendTimeout, s.totals.appendSeconds.Observe)
	seq := newSequencer(s.log.Facts().Cut, rec.FileID, p.zone, out)
	err = newPipeline(s.cfg.Workers).run(ctx, b, t, seq, out)
	rec.fill(seq, &out.tally, p.zone)
	if err != nil {
		return nil, err
	}
	rec.complete(f, seq)
	return out.tally.reached, rec.verdict()
}

// blockBytes shares bytes between the chunks of a pipeline. A chunk occupies about four times its text: that
// itself twice, its rows and their records.
func blockBytes(share int64, workers int) int {
	const least, most, times = 32 << 10, 256 << 10, 4
	return int(min(max(share/int64(chunksOf(workers))/times, least), most))
}

// await waits until what a file reached is visible, in nobody's way: the upload has left the gate. When
// that takes too long, or the server stops, the file is stored all the same, and the receipt says so.
func (s *Server) await(reached map[events.Partition]events.Revision, rec *receipt) {
	ctx, cancel := context.WithTimeout(s.waits, s.cfg.WaitTimeout)
	defer cancel()
	if err := s.folded.WaitVisible(ctx, reached); err != nil {
		rec.Status = statusStored
		rec.Warnings = append(rec.Warnings, "everything is stored, but is not visible yet; it will be, and sending it again is not needed")
		s.lg.Warn("waiting for an upload to be visible", "upload", rec.FileID, "err", err)
	}
}
