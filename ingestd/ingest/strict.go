package ingest

import (
	"context"
	"fmt"
	"io"

	"github.com/gofiber/fiber/v2"
)

// takeStrictly reads a file twice: to find out whether any row of it is bad, and, only when none is, to append
// it. A body can be read once, so it goes to the spool first.
func (s *Server) takeStrictly(ctx context.Context, f *file, p parameters, rec *receipt) (tally, error) {
	if f.again == nil {
		end, err := s.rereadable(f)
		if err != nil {
			return tally{}, err
		}
		defer end()
	}
	checking := p
	checking.dryRun = true
	checked := *rec
	if t, err := s.pass(ctx, f, checking, &checked); err != nil {
		*rec = checked
		rec.DryRun, rec.WouldAccept = false, 0
		return t, err
	}
	return s.pass(ctx, f, p, rec)
}

// pass reads a file from its beginning to its end.
func (s *Server) pass(ctx context.Context, f *file, p parameters, rec *receipt) (tally, error) {
	text, err := f.again()
	if err != nil {
		return tally{}, err
	}
	defer text.Close()
	again := newFile(f.name, text, nil)
	again.progress = f.progress
	t, err := s.process(ctx, again, p, rec)
	f.size = max(f.size, again.size)
	return t, err
}

// rereadable brings a file from the socket to the disk. end removes it there.
func (s *Server) rereadable(f *file) (end func(), err error) {
	room, err := s.background.room()
	if err != nil {
		return nil, err
	}
	scratch, err := room.Scratch(0)
	if err != nil {
		return nil, spoolRefusal(err)
	}
	end = func() {
		if err := scratch.Close(); err != nil {
			s.lg.Warn("removing a spooled file", "err", err)
		}
	}
	if _, err := scratch.Fill(f); err != nil {
		end()
		return nil, spoolRefusal(err)
	}
	f.again = func() (io.ReadCloser, error) {
		text, err := scratch.Reader()
		return io.NopCloser(text), err
	}
	return end, nil
}

// notStrict refuses a file by its first bad row, however many more have been seen by now.
func (s *sequencer) notStrict() error {
	s.faults, s.rejected = s.faults[:1], 1
	first := s.faults[0]
	where := fmt.Sprintf("line %d", first.Line)
	if first.Column != "" {
		where += fmt.Sprintf(", column %s", first.Column)
	}
	return refuse(fiber.StatusUnprocessableEntity, codeNotStrict,
		"%s: %q: %s; with strict=true one such row refuses the whole file, and without it costs only what is bad", where, first.Text, first.Reason)
}
