package ingest

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// admissionStatus is the part of GET /api/v1/status about admission: the decision, and beside each threshold the
// reading that is held against it. Absent readings are not known.
type admissionStatus struct {
	Verdict           string             `json:"verdict"` // open, slowed or refusing
	Code              string             `json:"code,omitempty"`
	Reason            string             `json:"reason,omitempty"`
	RetryAfterSeconds int64              `json:"retry_after_seconds,omitempty"`
	StopsUnderWay     bool               `json:"stops_uploads_under_way"`
	Share             float64            `json:"share"` // of the time, in which events may pass to the log
	CheckedAt         *time.Time         `json:"checked_at,omitempty"`
	Trouble           string             `json:"trouble,omitempty"` // why some reading is missing or old
	Size              sizeThresholds     `json:"size"`
	Lag               durationThresholds `json:"lag"`
	Latency           durationThresholds `json:"latency"`
	Rate              rateThresholds     `json:"rate"`
}

type sizeThresholds struct {
	Endpoint        string   `json:"endpoint,omitempty"` // of the fullest member
	Bytes           int64    `json:"bytes"`
	InUse           int64    `json:"in_use_bytes"`
	Quota           int64    `json:"quota_bytes"`
	NoSpace         bool     `json:"no_space"`
	Unheard         int      `json:"unheard_endpoints"`
	Percent         *float64 `json:"percent,omitempty"` // in use
	SoftPercent     int      `json:"soft_percent"`
	HardPercent     int      `json:"hard_percent"`
	FilePercent     *float64 `json:"file_percent,omitempty"`
	FileHardPercent int      `json:"file_hard_percent"`
}

type durationThresholds struct {
	Seconds     *float64 `json:"seconds,omitempty"`
	SoftSeconds float64  `json:"soft_seconds"`
	HardSeconds float64  `json:"hard_seconds"`
}

type rateThresholds struct {
	PerSecond     float64 `json:"records_per_second"`
	SoftPerSecond int     `json:"soft_records_per_second,omitempty"`
	HardPerSecond int     `json:"hard_records_per_second,omitempty"`
}

func (a *admission) statusView() admissionStatus {
	now, m := a.state.Load(), a.thresholds
	c, took := now.capacity, roundThousandths(now.appendTime.Seconds())
	out := admissionStatus{
		Verdict: "open", Code: now.cause, Share: roundThousandths(now.share), StopsUnderWay: now.stops,
		Size: sizeThresholds{
			Endpoint: c.Endpoint, Bytes: c.Bytes, InUse: c.InUse, Quota: c.Quota, NoSpace: c.NoSpace, Unheard: c.Unreachable,
			SoftPercent: m.SoftSize, HardPercent: m.HardSize, FileHardPercent: m.HardFile,
		},
		Lag:     durationThresholds{SoftSeconds: m.SoftLag.Seconds(), HardSeconds: m.HardLag.Seconds()},
		Latency: durationThresholds{Seconds: &took, SoftSeconds: m.SoftLatency.Seconds(), HardSeconds: m.HardLatency.Seconds()},
		Rate:    rateThresholds{math.Round(now.rate), m.SoftRate, m.HardRate},
	}
	if now.sizeKnown {
		size, file := roundThousandths(100*now.sizeShare()), roundThousandths(100*now.fileShare())
		out.Size.Percent, out.Size.FilePercent = &size, &file
	}
	if now.lagKnown {
		lag := roundThousandths(now.lag.Seconds())
		out.Lag.Seconds = &lag
	}
	if !now.at.IsZero() {
		at := now.at.UTC()
		out.CheckedAt = &at
	}
	if now.readingErr != nil {
		out.Trouble = now.readingErr.Error()
	}
	switch {
	case now.refusal != nil:
		out.Verdict, out.Reason = "refusing", now.refusal.Text
		out.RetryAfterSeconds = int64(now.refusal.RetryAfter.Seconds())
	case now.cause != "":
		out.Verdict = "slowed"
	}
	return out
}

// roundThousandths rounds to three digits after the point.
func roundThousandths(v float64) float64 { return math.Round(1000*v) / 1000 }

// stateGauges returns the gauges of admission and of etcd's size. They show what was read for the last decision; a scrape reads nothing.
func (a *admission) stateGauges() []prometheus.Collector {
	var all []prometheus.Collector
	for _, g := range []struct {
		name, help string
		value      func(*admissionState) float64
	}{
		{"ingest_admission_size_ratio", "Share of etcd's quota that is in use on its fullest member.", func(s *admissionState) float64 { return s.sizeShare() }},
		{"ingest_admission_file_ratio", "Share of etcd's quota that the database file of its fullest member takes.", func(s *admissionState) float64 { return s.fileShare() }},
		{"ingest_admission_no_space", "Whether etcd has raised the NOSPACE alarm: 1 or 0.", func(s *admissionState) float64 { return boolValue(s.capacity.NoSpace) }},
		{"ingest_admission_lag_seconds", "Age of the oldest append of this process that is not folded.", func(s *admissionState) float64 { return s.lag.Seconds() }},
		{"ingest_admission_append_seconds", "Time of an append, averaged over seconds.", func(s *admissionState) float64 { return s.appendTime.Seconds() }},
		{"ingest_admission_rate_records", "Records appended per second, averaged over seconds.", func(s *admissionState) float64 { return s.rate }},
		{"ingest_admission_share_ratio", "Share of the time in which events may pass to the log; 1 when uploads are not slowed down.",
			func(s *admissionState) float64 { return s.share }},
		{"ingest_admission_refusing", "Whether new uploads are refused: 1 or 0.", func(s *admissionState) float64 { return boolValue(s.refusal != nil) }},
		{"ingest_admission_blind", "Whether some of what admission judges by is not known, or old: 1 or 0.",
			func(s *admissionState) float64 { return boolValue(s.readingErr != nil) }},
		{"etcd_database_bytes", "Size of the database file of etcd's fullest member, as it answered last.", func(s *admissionState) float64 { return float64(s.capacity.Bytes) }},
		{"etcd_database_used_bytes", "Bytes of this database that hold values.", func(s *admissionState) float64 { return float64(s.capacity.InUse) }},
		{"etcd_quota_bytes", "Limit of this database's size, which etcd itself reports; 0 if there is none or it is not known yet.",
			func(s *admissionState) float64 { return float64(s.capacity.Quota) }},
	} {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help},
			func() float64 { return g.value(a.state.Load()) }))
	}
	return all
}

func boolValue(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
