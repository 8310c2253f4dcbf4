package pipeline

import (
	"time"

	"telemetry-pipeline/ingestd/intake"
)

// senderPause is the shortest silence that counts as a pause of the sender. Between two packets of a file it is less.
const senderPause = 10 * time.Millisecond

// sender is the other end of a live stream.
type sender interface {
	// WaitTimes returns how long the sender has been waited for now, and in all.
	WaitTimes() (now, all time.Duration)
}

// streamCutter cuts the events of a live stream while its sender is waited for. While there is more to read, records
// wait for their event to become as large as in any file. Only the sequencing stage uses it. Nil never cuts.
type streamCutter struct {
	limits  intake.Streams
	sender  sender
	timer   *time.Timer
	pending int64         // records that were taken since the last cut
	since   time.Time     // the first of them
	waited  time.Duration // for the sender, until then
}

func newStreamCutter(limits intake.Streams, from sender) *streamCutter {
	p := &streamCutter{limits: limits, sender: from, timer: time.NewTimer(time.Hour)}
	p.timer.Stop()
	return p
}

// dueTimes returns the channel that delivers the times at which a cut may be due.
func (p *streamCutter) dueTimes() <-chan time.Time {
	if p == nil {
		return nil
	}
	return p.timer.C
}

// addRecords counts records that wait to be cut into events.
func (p *streamCutter) addRecords(records int64) {
	if p == nil || records == 0 {
		return
	}
	if p.pending == 0 {
		p.since = time.Now()
		_, p.waited = p.sender.WaitTimes()
	}
	p.pending += records
	p.resetTimer()
}

func (p *streamCutter) resetTimer() {
	if wait := p.limits.Interval - time.Since(p.since); p.pending < int64(p.limits.BatchSize) && wait > senderPause {
		p.timer.Reset(wait)
		return
	}
	p.timer.Reset(senderPause)
}

// shouldCut reports whether to cut now. An interval that has passed does it only when at least half of it was spent
// waiting for the sender, so that a whole file that comes as a stream is not cut into many small events.
func (p *streamCutter) shouldCut() bool {
	pause, waited := p.sender.WaitTimes()
	wait := time.Since(p.since)
	enough := p.pending >= int64(p.limits.BatchSize) && pause >= senderPause
	overdue := wait >= p.limits.Interval && (pause >= senderPause || waited-p.waited >= wait/2)
	if !enough && !overdue {
		p.resetTimer()
		return false
	}
	p.pending = 0
	return true
}

// stopTimer stops the timer.
func (p *streamCutter) stopTimer() {
	if p != nil {
		p.timer.Stop()
	}
}
