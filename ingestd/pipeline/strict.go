package pipeline

import (
	"context"
	"fmt"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
)

// processStrictly reads a file twice: first without appending, and, only if no row is rejected, once more to append it.
// A body can be read only once, so it is kept on the disk meanwhile.
func (c *Processor) processStrictly(ctx context.Context, f *intake.File, p Parameters, rec *answer.Receipt) (answer.AppendStats, error) {
	if f.Reopen == nil {
		drop, err := c.keepFile(f)
		if err != nil {
			return answer.AppendStats{}, err
		}
		defer drop()
	}
	checking := p
	checking.DryRun = true
	checked := *rec
	if t, err := c.processAgain(ctx, f, checking, &checked); err != nil {
		*rec = checked
		rec.DryRun, rec.WouldAccept = false, 0
		return t, err
	}
	return c.processAgain(ctx, f, p, rec)
}

// processAgain processes a file from its beginning to its end.
func (c *Processor) processAgain(ctx context.Context, f *intake.File, p Parameters, rec *answer.Receipt) (answer.AppendStats, error) {
	text, err := f.Reopen()
	if err != nil {
		return answer.AppendStats{}, err
	}
	defer text.Close()
	again := intake.NewFile(f.Name, text, nil)
	again.Progress, again.Enlarge = f.Progress, f.Enlarge
	t, err := c.processOnce(ctx, again, p, rec)
	f.Size = max(f.Size, again.Size)
	return t, err
}

// refuseFirstRejection refuses a file by its first rejected row, even if more have been seen by now.
func (s *sequencer) refuseFirstRejection() error {
	s.faults, s.rejected = s.faults[:1], 1
	first := s.faults[0]
	where := fmt.Sprintf("line %d", first.Line)
	if first.Column != "" {
		where += fmt.Sprintf(", column %s", first.Column)
	}
	return answer.Refuse(answer.CodeBadRow,
		"%s: %q: %s; with strict=true one such row refuses the whole file, and without it costs only what is bad", where, first.Text, first.Reason)
}
