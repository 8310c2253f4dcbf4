package ingest

import (
	"math"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// capacityOf returns the capacity of an etcd with inUse percent of its quota in use, and a file of file percent.
func capacityOf(inUse, file int64) eventlog.Capacity {
	return eventlog.Capacity{Endpoint: "etcd-1", Bytes: file << 20, InUse: inUse << 20, Quota: 100 << 20}
}

func TestJudge(t *testing.T) {
	known := func(c eventlog.Capacity) readings { return readings{capacity: c, sizeKnown: true, lagKnown: true} }
	alarmed := capacityOf(10, 20)
	alarmed.NoSpace = true
	rated := Thresholds{SoftRate: 1000, HardRate: 2000}
	cases := []struct {
		name       string
		thresholds Thresholds
		readings   readings
		share      float64
		cause      string
		refused    bool
		stops      bool
	}{
		{name: "nothing known", readings: readings{}, share: 1},
		{name: "below the soft threshold", readings: known(capacityOf(59, 59)), share: 1},
		{name: "at the soft threshold", readings: known(capacityOf(60, 60)), share: 1},
		{name: "half the way", readings: known(capacityOf(70, 70)), share: 0.75, cause: answer.CodeLogNearlyFull},
		{name: "just below the hard threshold", readings: known(capacityOf(79, 79)), share: 0.525, cause: answer.CodeLogNearlyFull},
		{name: "at the hard threshold", readings: known(capacityOf(80, 80)), share: 0.5, cause: answer.CodeLogNearlyFull, refused: true, stops: true},
		{name: "far above it", readings: known(capacityOf(300, 300)), share: 0.5, cause: answer.CodeLogNearlyFull, refused: true, stops: true},
		{name: "a file with much free space", readings: known(capacityOf(40, 94)), share: 1},
		{name: "a file that cannot grow any more", readings: known(capacityOf(40, 95)), share: 0.5, cause: answer.CodeLogNearlyFull, refused: true, stops: true},
		{name: "no quota", readings: known(eventlog.Capacity{Bytes: 1 << 50, InUse: 1 << 50}), share: 1},
		{name: "size unknown", readings: readings{capacity: capacityOf(99, 99), lagKnown: true}, share: 1},
		{name: "alarm", readings: known(alarmed), share: 0.5, cause: answer.CodeLogFull, refused: true, stops: true},
		{name: "alarm, thresholds off", thresholds: Thresholds{SoftSize: 1000, HardSize: 1000, HardFile: 1000}, readings: known(alarmed),
			share: 0.5, cause: answer.CodeLogFull, refused: true, stops: true},
		{name: "thresholds off", thresholds: Thresholds{SoftSize: 1000, HardSize: 1000, HardFile: 1000}, readings: known(capacityOf(120, 130)), share: 1},
		{name: "behind a little", readings: readings{lagKnown: true, lag: 59 * time.Second}, share: 1},
		{name: "behind half the way", readings: readings{lagKnown: true, lag: 330 * time.Second}, share: 0.75, cause: answer.CodeCollectorsBehind},
		{name: "behind", readings: readings{lagKnown: true, lag: 10 * time.Minute}, share: 0.5, cause: answer.CodeCollectorsBehind, refused: true, stops: true},
		{name: "lag unknown", readings: readings{lag: time.Hour}, share: 1},
		{name: "slow appends", readings: readings{appendTime: 6 * time.Second}, share: 0.75, cause: answer.CodeLogSlow},
		{name: "very slow appends", readings: readings{appendTime: 11 * time.Second}, share: 0.5, cause: answer.CodeLogSlow, refused: true},
		{name: "any rate without thresholds", readings: readings{rate: 1e12}, share: 1},
		{name: "rate between", thresholds: rated, readings: readings{rate: 1500}, share: 0.75, cause: answer.CodeTooManyRecords},
		{name: "rate over", thresholds: rated, readings: readings{rate: 2000}, share: 0.5, cause: answer.CodeTooManyRecords, refused: true},
		{name: "soft rate alone never refuses", thresholds: Thresholds{SoftRate: 1000}, readings: readings{rate: 5000}, share: 0.5, cause: answer.CodeTooManyRecords},
		{name: "hard rate alone never slows", thresholds: Thresholds{HardRate: 1000}, readings: readings{rate: 999}, share: 1},
		{name: "the worst slows", readings: readings{capacity: capacityOf(62, 62), sizeKnown: true, lagKnown: true, lag: 9 * time.Minute},
			share: 0.556, cause: answer.CodeCollectorsBehind},
		{name: "a refusal goes before what only slows", thresholds: rated,
			readings: readings{capacity: capacityOf(79, 79), sizeKnown: true, rate: 5000}, share: 0.5, cause: answer.CodeTooManyRecords, refused: true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := decideUploads(c.thresholds.withDefaults(), c.readings)
			if math.Abs(got.share-c.share) > 0.005 || got.cause != c.cause || (got.refusal != nil) != c.refused || got.stops != c.stops {
				t.Errorf("got share %.3f, cause %q, refusal %v, stops %v; want %.3f, %q, %v, %v",
					got.share, got.cause, got.refusal, got.stops, c.share, c.cause, c.refused, c.stops)
			}
		})
	}
}

// Each refusal has the next step for its reader, and a time to retry for a program.
func TestRefusalsOfAdmissionSayWhatToDo(t *testing.T) {
	m := Thresholds{HardRate: 5000}.withDefaults()
	cases := []struct {
		refusal *answer.Refusal
		status  int
		after   time.Duration
		says    []string
	}{
		{answer.LogFull(), 503, time.Minute, []string{"NOSPACE", "compact", "defragment every member", "disarm", answer.Runbook, "send the file again"}},
		{nearlyFullRefusal(m, capacityOf(85, 90)), 503, time.Minute, []string{"85.0 MiB", "100.0 MiB", "80 %", answer.Runbook, "send the file again"}},
		{fragmentedRefusal(m, capacityOf(40, 97)), 503, time.Minute, []string{"97.0 MiB", "40.0 MiB", "95 %", "defragment every member", answer.Runbook}},
		{behindRefusal(11 * time.Minute), 503, 30 * time.Second, []string{"11m0s", "collectd", "send the file again"}},
		{slowLogRefusal(12345 * time.Millisecond), 503, 10 * time.Second, []string{"12.3s", "send the file again"}},
		{rateRefusal(m), 429, 2 * time.Second, []string{"5000 records per second", "send the file again"}},
	}
	for _, c := range cases {
		if c.refusal.Status != c.status || c.refusal.RetryAfter != c.after {
			t.Errorf("%s: got %d after %s, want %d after %s", c.refusal.Code, c.refusal.Status, c.refusal.RetryAfter, c.status, c.after)
		}
		for _, want := range c.says {
			if !strings.Contains(c.refusal.Text, want) {
				t.Errorf("%s lacks %q: %s", c.refusal.Code, want, c.refusal.Text)
			}
		}
	}
}

func TestUntilOpen(t *testing.T) {
	cases := []struct {
		elapsed time.Duration
		share   float64
		want    time.Duration
	}{
		{0, 1, 0}, {999 * time.Millisecond, 1, 0}, {7 * passPeriod, 1, 0},
		{0, 0.5, 0}, {499 * time.Millisecond, 0.5, 0}, {500 * time.Millisecond, 0.5, 500 * time.Millisecond},
		{3*passPeriod + 900*time.Millisecond, 0.5, 100 * time.Millisecond}, {4 * passPeriod, 0.5, 0},
		{800 * time.Millisecond, 0.75, 200 * time.Millisecond},
	}
	for _, c := range cases {
		if got := passWait(c.elapsed, c.share); got != c.want {
			t.Errorf("after %s with share %v: wait %s, want %s", c.elapsed, c.share, got, c.want)
		}
	}
}

func TestIdle(t *testing.T) {
	for share, want := range map[float64]time.Duration{1: 0, 0.8: 250 * time.Millisecond, 0.5: time.Second} {
		if got := restTime(time.Second, share).Round(time.Microsecond); got != want {
			t.Errorf("share %v: idle for %s after a second, want %s", share, got, want)
		}
	}
}

func TestMarksThatAreNoneAreRefusedByName(t *testing.T) {
	for want, m := range map[string]Thresholds{
		"ingest.soft-size is above": {SoftSize: 90}, "ingest.soft-lag is above": {SoftLag: time.Hour},
		"ingest.soft-rate": {SoftRate: -1}, "ingest.soft-latency": {HardLatency: time.Millisecond}, "ingest.hard-file": {HardFile: -1},
	} {
		if _, err := New(Config{Thresholds: m}, pipelinetest.NewRecorder(), pipelinetest.NewRecorder(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gave %v, want an error that tells %q", m, err, want)
		}
	}
	if _, err := New(Config{Thresholds: Thresholds{SoftRate: 10}}, pipelinetest.NewRecorder(), pipelinetest.NewRecorder(), nil); err != nil {
		t.Errorf("a soft threshold alone: %v", err)
	}
}
