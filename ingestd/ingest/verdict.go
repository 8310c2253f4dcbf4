package ingest

import (
	"fmt"
	"time"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
)

// readings are what admission is judged by. What could not be learned does not count.
type readings struct {
	capacity   eventlog.Capacity
	sizeKnown  bool
	lag        time.Duration
	lagKnown   bool
	appendTime time.Duration
	rate       float64 // records per second
}

// size and file return shares of the quota.
func (r readings) size() float64 { return r.ofQuota(r.capacity.InUse) }
func (r readings) file() float64 { return r.ofQuota(r.capacity.Bytes) }

func (r readings) ofQuota(bytes int64) float64 {
	if !r.sizeKnown || r.capacity.Quota == 0 {
		return 0
	}
	return float64(bytes) / float64(r.capacity.Quota)
}

// verdict is what becomes of uploads.
type verdict struct {
	share   float64         // of the time, in which events may pass to the log: from 1 down to a half
	cause   string          // the code of what slows or refuses; "" when nothing does
	refusal *answer.Refusal // of new uploads; nil while they are let in. Shared: not to be changed
	stops   bool            // the refusal is for uploads under way too
}

// judgeUploads is the whole of admission: readings in, verdict out. Uploads under way are stopped only by what gets
// worse with each of their records and not better by itself; slow appends and a high rate slow them down.
func judgeUploads(m Thresholds, r readings) verdict {
	v := verdict{share: 1}
	worst := 0.0
	for _, c := range criteria(m, r) {
		if !c.known {
			continue
		}
		if c.threshold.over(c.value) {
			return verdict{share: 0.5, cause: c.code, refusal: c.refusal(), stops: c.stops}
		}
		if p := c.threshold.pressure(c.value); p > worst {
			worst = p
			v.share, v.cause = 1-p/2, c.code
		}
	}
	return v
}

// criterion is one thing that admission looks at.
type criterion struct {
	code      string
	known     bool
	value     float64
	threshold threshold
	stops     bool
	refusal   func() *answer.Refusal
}

// criteria come in order of importance: the first that is over its hard threshold is the reason.
func criteria(m Thresholds, r readings) []criterion {
	alarm := 0.0
	if r.capacity.NoSpace {
		alarm = 1
	}
	return []criterion{
		{answer.CodeLogFull, r.sizeKnown, alarm, threshold{1, 1}, true, answer.LogFull},
		{answer.CodeLogNearlyFull, r.sizeKnown, r.size(), threshold{percent(m.SoftSize), percent(m.HardSize)}, true,
			func() *answer.Refusal { return nearlyFull(m, r.capacity) }},
		{answer.CodeLogNearlyFull, r.sizeKnown, r.file(), threshold{hard: percent(m.HardFile)}, true,
			func() *answer.Refusal { return fragmented(m, r.capacity) }},
		{answer.CodeBehind, r.lagKnown, r.lag.Seconds(), threshold{m.SoftLag.Seconds(), m.HardLag.Seconds()}, true,
			func() *answer.Refusal { return behind(r.lag) }},
		{answer.CodeLogSlow, true, r.appendTime.Seconds(), threshold{m.SoftLatency.Seconds(), m.HardLatency.Seconds()}, false,
			func() *answer.Refusal { return slowLog(r.appendTime) }},
		{answer.CodeRate, true, r.rate, threshold{float64(m.SoftRate), float64(m.HardRate)}, false,
			func() *answer.Refusal { return tooFast(m) }},
	}
}

func percent(n int) float64 { return float64(n) / 100 }

func nearlyFull(m Thresholds, c eventlog.Capacity) *answer.Refusal {
	return answer.Refuse(answer.CodeLogNearlyFull,
		"etcd has %s of its quota of %s in use, and uploads are refused from %d %% on, before it takes no writes at all; "+
			"its operator finds in %s how to make room; send the file again later",
		mebibytes(c.InUse), mebibytes(c.Quota), m.HardSize, answer.Runbook).After(time.Minute)
}

func fragmented(m Thresholds, c eventlog.Capacity) *answer.Refusal {
	return answer.Refuse(answer.CodeLogNearlyFull,
		"etcd's database file takes %s of its quota of %s, and uploads are refused from %d %% on; only %s of it are in use, so its "+
			"operator has to defragment every member (%s); send the file again later",
		mebibytes(c.Bytes), mebibytes(c.Quota), m.HardFile, mebibytes(c.InUse), answer.Runbook).After(time.Minute)
}

func behind(lag time.Duration) *answer.Refusal {
	return answer.Refuse(answer.CodeBehind,
		"the collectors are behind: what was uploaded %s ago is not folded yet; is collectd running? send the file again later",
		lag.Round(time.Second)).After(30 * time.Second)
}

func slowLog(took time.Duration) *answer.Refusal {
	return answer.Refuse(answer.CodeLogSlow,
		"etcd takes %s for an append at the moment; send the file again shortly", took.Round(100*time.Millisecond)).After(10 * time.Second)
}

func tooFast(m Thresholds) *answer.Refusal {
	return answer.Refuse(answer.CodeRate,
		"uploads bring more than the %d records per second that this server takes; send the file again shortly", m.HardRate).After(2 * time.Second)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// period is the cycle of the pace: in the first part of each, a verdict's share of it, events pass to the
// log; in the rest they wait, and with them, stage by stage, the client. It is long against what the stages
// hold, so that the rate follows the share, and short against every timeout.
const period = time.Second

// idle returns the pause after a busy time that makes it a share of the whole.
func idle(busy time.Duration, share float64) time.Duration {
	return time.Duration(float64(busy) * (1/share - 1))
}

// untilOpen returns how long an event waits that comes so long after the first period began.
func untilOpen(elapsed time.Duration, share float64) time.Duration {
	in := elapsed % period
	if in < time.Duration(share*float64(period)) {
		return 0
	}
	return period - in
}
