package ingest

import "time"

// appendMeter averages how long appends take and how many records they bring. One step of it is one look.
type appendMeter struct {
	// since the last step
	appends, records int64
	took             time.Duration

	underWay   int // appends
	appendTime time.Duration
	rate       float64 // records per second
}

// stepWeight is how much of the newest step an average takes over: what happened counts half after about two
// and a half steps.
const stepWeight = 0.25

func (m *appendMeter) beginAppend() { m.underWay++ }

func (m *appendMeter) endAppend(took time.Duration, records int64) {
	m.underWay--
	m.appends++
	m.took += took
	m.records += records
}

// closeStep takes in what happened in a time. When no append ended but some are under way, nothing is known of how
// long they take; when there are none, the average fades, so that it refuses nobody for ever.
func (m *appendMeter) closeStep(elapsed time.Duration) {
	if elapsed <= 0 {
		return
	}
	m.rate += stepWeight * (float64(m.records)/elapsed.Seconds() - m.rate)
	if m.rate < 1 {
		m.rate = 0
	}
	switch {
	case m.appends > 0:
		m.appendTime += time.Duration(stepWeight * float64(m.took/time.Duration(m.appends)-m.appendTime))
	case m.underWay == 0:
		m.appendTime -= time.Duration(stepWeight * float64(m.appendTime))
	}
	m.appends, m.records, m.took = 0, 0, 0
}
