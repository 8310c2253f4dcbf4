package ingest

import "time"

// appendMeter averages how long appends take and how many records they bring. One step of it is one refresh.
type appendMeter struct {
	// since the last step
	appends, records int64
	took             time.Duration

	underWay   int // appends
	appendTime time.Duration
	rate       float64 // records per second
}

// stepWeight is the weight of the newest step in an average: an event counts half after about two and a half steps.
const stepWeight = 0.25

func (m *appendMeter) beginAppend() { m.underWay++ }

func (m *appendMeter) endAppend(took time.Duration, records int64) {
	m.underWay--
	m.appends++
	m.took += took
	m.records += records
}

// closeStep adds a step of some length to the averages. While appends are under way and none has ended, their time is
// unknown and the average stays. Without any append it fades, so that an old average never refuses uploads for ever.
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
