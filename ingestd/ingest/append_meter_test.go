package ingest

import (
	"testing"
	"time"
)

func TestMeterAveragesAndFades(t *testing.T) {
	var m appendMeter
	for range 40 {
		m.beginAppend()
		m.beginAppend()
		m.endAppend(time.Second, 300)
		m.endAppend(3*time.Second, 700)
		m.closeStep(500 * time.Millisecond)
	}
	if m.appendTime < 1990*time.Millisecond || m.appendTime > 2*time.Second || m.rate < 1990 || m.rate > 2000 {
		t.Errorf("got %s per append and %.0f records/s, want 2s and 2000", m.appendTime, m.rate)
	}
	m.beginAppend()
	m.closeStep(time.Second)
	if m.appendTime < 1990*time.Millisecond {
		t.Errorf("an append that has not ended made the average %s", m.appendTime)
	}
	m.endAppend(2*time.Second, 0)
	for range 60 {
		m.closeStep(time.Second)
	}
	if m.appendTime > time.Millisecond || m.rate != 0 {
		t.Errorf("a minute later there are %s and %.3f records/s left", m.appendTime, m.rate)
	}
}
