package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"telemetry-pipeline/events"
)

// sources makes uploads: rows of a few hosts whose times, values, GPUs and metrics meet, contradict and repeat each other.
type sources struct {
	rand  *rand.Rand
	hosts []events.HostID
	clock events.Timestamp // of records
	made  int
}

// beginning is the time of the first record: half a day before a bubble's clock begins, so that no reading is ahead of its
// time but the ones that are meant to be.
var beginning = events.TimestampOf(time.Date(1999, 12, 31, 12, 12, 0, 0, time.UTC))

var metrics = []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_XID_ERRORS"}

func newSources(r *rand.Rand, hosts int) *sources {
	s := &sources{rand: r, clock: beginning}
	for i := range hosts {
		s.hosts = append(s.hosts, events.HostID(fmt.Sprintf("host-%d", i)))
	}
	return s
}

// upload makes the events of a file of up to rows rows.
func (s *sources) upload(rows int) []events.Event {
	cutter := s.cutter()
	var out []events.Event
	hosts := s.rand.Perm(len(s.hosts))[:1+s.rand.IntN(3)]
	for range 1 + s.rand.IntN(rows) {
		host := s.hosts[hosts[s.rand.IntN(len(hosts))]]
		out = append(out, cutter.Row(host, 0, s.row(host))...)
	}
	return append(out, cutter.Flush()...)
}

// all makes the events of a file with a row of every host.
func (s *sources) all() []events.Event {
	cutter := s.cutter()
	var out []events.Event
	for _, host := range s.hosts {
		out = append(out, cutter.Row(host, 0, s.row(host))...)
	}
	return append(out, cutter.Flush()...)
}

func (s *sources) cutter() *events.Cutter {
	s.made++
	return events.NewCutter(events.CutRules{EventRecords: 6, OpenRecords: 1000}, events.UploadID(fmt.Sprintf("upload-%d", s.made)), "")
}

// row is some readings of one GPU at one time; now and then of an earlier hour, of one that was there before, or of one that
// does not come before the world ends.
func (s *sources) row(host events.HostID) []events.Record {
	s.clock += events.Timestamp(s.rand.Int64N(int64(40 * time.Second)))
	at := s.clock
	switch s.rand.IntN(16) {
	case 0, 1:
		at -= events.Timestamp(s.rand.Int64N(int64(2 * time.Hour)))
	case 2:
		at = events.TimestampOf(time.Now().Add(time.Hour + time.Duration(s.rand.Int64N(int64(2*time.Hour)))))
	case 3, 4:
		at = beginning + events.Timestamp(s.rand.IntN(5))*events.Timestamp(20*time.Minute)
	}
	id := s.identity(host)
	var row []events.Record
	for _, m := range s.rand.Perm(len(metrics))[:1+s.rand.IntN(3)] {
		v := events.Value{Number: events.Int(int64(s.rand.IntN(40)))}
		text := v.Number.String()
		if s.rand.IntN(12) == 0 {
			v, text = events.Value{Absent: events.NotSupported, Raw: "[N/A]"}, "[N/A]"
		}
		row = append(row, events.Record{Identity: id, Metric: metrics[m], Source: metrics[m], At: at, Value: v, Text: []byte(text)})
	}
	return row
}

// identity is one of the host's own GPUs, or one of two that move between hosts.
func (s *sources) identity(host events.HostID) *events.Identity {
	n := s.rand.IntN(4)
	id := &events.Identity{Index: fmt.Sprint(n), UUID: fmt.Sprintf("GPU-%s-%d", host, n), Model: "H100"}
	if n == 3 {
		id.UUID = fmt.Sprintf("GPU-moving-%d", s.rand.IntN(2))
	}
	if s.rand.IntN(10) == 0 {
		id.Pod = fmt.Sprintf("job-%d", s.rand.IntN(3))
	}
	return id
}
