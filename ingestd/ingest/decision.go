package ingest

import (
	"fmt"
	"time"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/ingestd/answer"
)

// readings are the input of admission. Unknown ones do not count.
type readings struct {
	capacity   eventlog.Capacity
	sizeKnown  bool
	lag        time.Duration
	lagKnown   bool
	appendTime time.Duration
	rate       float64 // records per second
}

// sizeShare and file return shares of the quota.
func (r readings) sizeShare() float64 { return r.quotaShare(r.capacity.InUse) }
func (r readings) fileShare() float64 { return r.quotaShare(r.capacity.Bytes) }

func (r readings) quotaShare(bytes int64) float64 {
	if !r.sizeKnown || r.capacity.Quota == 0 {
		return 0
	}
	return float64(bytes) / float64(r.capacity.Quota)
}

// decision is the treatment of uploads.
type decision struct {
	share   float64         // of the time, in which events may pass to the log: from 1 down to a half
	cause   string          // the code of the reason to slow down or refuse; "" without one
	refusal *answer.Refusal // of new uploads; nil while they are let in. Shared: not to be changed
	stops   bool            // the refusal is for uploads under way too
}

// decideUploads is the whole of admission: readings in, decision out. Uploads under way are stopped only for readings
// that get worse with each of their records and never better by themselves; slow appends and a high rate slow them
// down.
func decideUploads(m Thresholds, r readings) decision {
	v := decision{share: 1}
	worst := 0.0
	for _, c := range criteria(m, r) {
		if !c.known {
			continue
		}
		if c.threshold.isReached(c.value) {
			return decision{share: 0.5, cause: c.code, refusal: c.refusal(), stops: c.stops}
		}
		if p := c.threshold.pressureOf(c.value); p > worst {
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

// criteria returns the criteria in order of importance: the first above its hard threshold is the reason.
func criteria(m Thresholds, r readings) []criterion {
	alarm := 0.0
	if r.capacity.NoSpace {
		alarm = 1
	}
	return []criterion{
		{answer.CodeLogFull, r.sizeKnown, alarm, threshold{1, 1}, true, answer.LogFull},
		{answer.CodeLogNearlyFull, r.sizeKnown, r.sizeShare(), threshold{percentShare(m.SoftSize), percentShare(m.HardSize)}, true,
			func() *answer.Refusal { return nearlyFullRefusal(m, r.capacity) }},
		{answer.CodeLogNearlyFull, r.sizeKnown, r.fileShare(), threshold{hard: percentShare(m.HardFile)}, true,
			func() *answer.Refusal { return fragmentedRefusal(m, r.capacity) }},
		{answer.CodeCollectorsBehind, r.lagKnown, r.lag.Seconds(), threshold{m.SoftLag.Seconds(), m.HardLag.Seconds()}, true,
			func() *answer.Refusal { return behindRefusal(r.lag) }},
		{answer.CodeLogSlow, true, r.appendTime.Seconds(), threshold{m.SoftLatency.Seconds(), m.HardLatency.Seconds()}, false,
			func() *answer.Refusal { return slowLogRefusal(r.appendTime) }},
		{answer.CodeTooManyRecords, true, r.rate, threshold{float64(m.SoftRate), float64(m.HardRate)}, false,
			func() *answer.Refusal { return rateRefusal(m) }},
	}
}

func percentShare(n int) float64 { return float64(n) / 100 }

func nearlyFullRefusal(m Thresholds, c eventlog.Capacity) *answer.Refusal {
	return answer.Refuse(answer.CodeLogNearlyFull,
		"etcd has %s of its quota of %s in use, and uploads are refused from %d %% on, before it takes no writes at all; "+
			"its operator finds in %s how to make room; send the file again later",
		formatMiB(c.InUse), formatMiB(c.Quota), m.HardSize, answer.Runbook).WithRetryAfter(time.Minute)
}

func fragmentedRefusal(m Thresholds, c eventlog.Capacity) *answer.Refusal {
	return answer.Refuse(answer.CodeLogNearlyFull,
		"etcd's database file takes %s of its quota of %s, and uploads are refused from %d %% on; only %s of it are in use, so its "+
			"operator has to defragment every member (%s); send the file again later",
		formatMiB(c.Bytes), formatMiB(c.Quota), m.HardFile, formatMiB(c.InUse), answer.Runbook).WithRetryAfter(time.Minute)
}

func behindRefusal(lag time.Duration) *answer.Refusal {
	return answer.Refuse(answer.CodeCollectorsBehind,
		"the collectors are behind: what was uploaded %s ago is not folded yet; is collectd running? send the file again later",
		lag.Round(time.Second)).WithRetryAfter(30 * time.Second)
}

func slowLogRefusal(took time.Duration) *answer.Refusal {
	return answer.Refuse(answer.CodeLogSlow,
		"etcd takes %s for an append at the moment; send the file again shortly", took.Round(100*time.Millisecond)).WithRetryAfter(10 * time.Second)
}

func rateRefusal(m Thresholds) *answer.Refusal {
	return answer.Refuse(answer.CodeTooManyRecords,
		"uploads bring more than the %d records per second that this server takes; send the file again shortly", m.HardRate).WithRetryAfter(2 * time.Second)
}

func formatMiB(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// passPeriod is the cycle in which uploads are slowed: events pass to the log in the first part of each, as long as
// the decision's share of it. In the rest they wait, and with them, stage by stage, the client. It is long compared
// with the contents of the stages, so that the rate follows the share, and short compared with every timeout.
const passPeriod = time.Second

// restTime returns the pause after a busy time that makes it a share of the whole.
func restTime(busy time.Duration, share float64) time.Duration {
	return time.Duration(float64(busy) * (1/share - 1))
}

// passWait returns the wait of an event that comes at a time after the first period began.
func passWait(elapsed time.Duration, share float64) time.Duration {
	in := elapsed % passPeriod
	if in < time.Duration(share*float64(passPeriod)) {
		return 0
	}
	return passPeriod - in
}
