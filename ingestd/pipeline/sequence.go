package pipeline

import (
	"context"
	"fmt"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/projections"
)

// The bounds of the lists in an answer; entries beyond them are counted.
const (
	maxFaults   = 100
	maxWarnings = 20
)

// sequencer cuts rows, in file order, into events and passes these on. It collects the receipt's
// figures of the rows. Only the pipeline's sequencing stage uses it, until that has ended.
//
// An event says which zone was assumed for its times. So rows whose time named a zone and rows whose time
// did not are cut apart; a file that has both is rare.
type sequencer struct {
	named   *events.Cutter // rows whose time named its zone, or that were rejected before that was known
	assumed *events.Cutter // rows whose time did not
	out     sink
	bound   *bounds.File
	allowed *permission // nil: the sender may send everything
	maxRows int64       // 0: no bound

	strict   bool             // the first rejection ends the file
	progress func(rows int64) // is called with the number of rows so far; may be nil

	rows          int64
	records       int64
	rejected      int64
	faults        []answer.Fault
	warnings      []string
	warningsTotal int64
	zoneAssumed   bool
	ahead         int64 // records that are not the latest readings before their time has come
	skipped       int64
	absences      absenceCollector
}

// newSequencer returns a sequencer that cuts with the given cutters, which have been started.
func newSequencer(named, assumed *events.Cutter, out sink, bound *bounds.File) *sequencer {
	return &sequencer{named: named, assumed: assumed, out: out, bound: bound}
}

func (s *sequencer) takeBatch(ctx context.Context, b *batch) error {
	b.refuseExcess(ctx, s.allowed, s.bound)
	s.countBatch(b)
	if s.progress != nil {
		s.progress(s.rows)
	}
	if s.strict && s.rejected > 0 {
		return s.refuseFirstRejection()
	}
	if s.maxRows > 0 && s.rows > s.maxRows {
		return tooManyRows(s.maxRows)
	}
	from := 0
	for _, row := range b.rows {
		records := b.parsed.Records[from:row.records]
		from = row.records
		if row.host == "" {
			continue // a row of no host is part of no event
		}
		cutter := s.named
		if row.zoneAssumed {
			cutter, s.zoneAssumed = s.assumed, true
		}
		if err := s.putEvents(ctx, cutter.Row(row.host, row.size, records)); err != nil {
			return err
		}
	}
	return nil
}

// flushEvents completes the open events and passes each on before it builds the next: they may be a whole fleet's.
func (s *sequencer) flushEvents(ctx context.Context) error {
	for _, cutter := range [...]*events.Cutter{s.named, s.assumed} {
		for e := range cutter.Drain() {
			if err := s.out.putEvent(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sequencer) putEvents(ctx context.Context, evs []events.Event) error {
	for _, e := range evs {
		if err := s.out.putEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// countBatch adds the figures of a batch.
func (s *sequencer) countBatch(b *batch) {
	for _, row := range b.rows {
		if !row.more {
			s.rows++
		}
	}
	s.records += int64(len(b.parsed.Records))
	s.rejected += int64(len(b.parsed.Rejections))
	s.skipped += int64(b.parsed.Skipped)
	s.absences.addBatch(b)
	due := events.TimestampOf(time.Now().Add(projections.MaxAhead))
	for i := range b.parsed.Records {
		if b.parsed.Records[i].At > due {
			s.ahead++
		}
	}
	for _, r := range b.parsed.Rejections[:min(len(b.parsed.Rejections), maxFaults-len(s.faults))] {
		s.faults = append(s.faults, answer.Fault{Line: r.Line, Column: r.Column, Text: r.Text, Reason: r.Reason})
	}
	s.warningsTotal += int64(len(b.parsed.Warnings))
	for _, r := range b.parsed.Warnings[:min(len(b.parsed.Warnings), maxWarnings-len(s.warnings))] {
		s.warnings = append(s.warnings, r.Error())
	}
}

// warningTexts returns the warnings of an answer: the listed ones, the number of others, a zone that was assumed, and times ahead.
func (s *sequencer) warningTexts(zone string) []string {
	out := append([]string{}, s.warnings...)
	if more := s.warningsTotal - int64(len(s.warnings)); more > 0 {
		out = append(out, fmt.Sprintf("%d more warnings like these", more))
	}
	if s.zoneAssumed {
		out = append(out, fmt.Sprintf("times without a zone were read as %s; give ?tz= if that is wrong", zone))
	}
	if s.ahead > 0 {
		out = append(out, fmt.Sprintf("%d records are more than %s ahead of now: they are in history, and are shown as the latest readings when their time has come; "+
			"if that is wrong, correct the clock of their host, or give ?tz=", s.ahead, projections.MaxAhead))
	}
	return out
}
