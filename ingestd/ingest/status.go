package ingest

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/build"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/jobs"
)

// answerHealth answers GET /health: the process is alive. Whether it should get traffic is for readiness.
func (s *Server) answerHealth(c *fiber.Ctx) error {
	return c.JSON(struct {
		Status string `json:"status"`
	}{"healthy"})
}

type serverStatus struct {
	Success       bool              `json:"success"`
	Service       string            `json:"service"`
	Version       string            `json:"version"`
	Status        string            `json:"status"` // ok, degraded (etcd does not answer) or stopping
	StartedAt     time.Time         `json:"started_at"`
	UptimeSeconds int64             `json:"uptime_seconds"`
	Etcd          etcdStatus        `json:"etcd"`
	Admission     admissionStatus   `json:"admission"`
	Uploads       uploadCount       `json:"uploads"`
	Background    jobs.SpoolStatus  `json:"background"`
	Records       recordCount       `json:"records"`
	Events        answer.EventCount `json:"events"`
	Bytes         int64             `json:"bytes"`
	Limits        serverLimits      `json:"limits"`
}

type etcdStatus struct {
	Reachable bool   `json:"reachable"`
	Revision  string `json:"revision,omitempty"` // the log's head
	Error     string `json:"error,omitempty"`
}

type uploadCount struct {
	InFlight int64 `json:"in_flight"`
	Total    int64 `json:"total"`
}

type recordCount struct {
	Accepted  int64 `json:"accepted"`
	Duplicate int64 `json:"duplicate"`
	Rejected  int64 `json:"rejected"`
	Absent    int64 `json:"absent"`
}

type serverLimits struct {
	MaxUploadSize int64 `json:"max_upload_size"`
	MaxMemory     int64 `json:"max_memory"`
	Uploads       int   `json:"uploads"`
	Workers       int   `json:"workers"`

	Files        int   `json:"files"` // in one upload
	Rows         int64 `json:"rows"`  // of one file, and so on
	Columns      int   `json:"columns"`
	LineBytes    int   `json:"line_bytes"`
	HeaderBytes  int   `json:"header_bytes"`
	PackedSize   int64 `json:"packed_size"`
	UnpackedSize int64 `json:"unpacked_size"`
	UnpackRatio  int64 `json:"unpack_ratio"`
	Encrypted    bool  `json:"encrypted"` // age files can be opened

	Hosts       int `json:"hosts"`        // in all
	HostGPUs    int `json:"host_gpus"`    // of one host
	GPUParts    int `json:"gpu_parts"`    // processes of one GPU within a minute, and its other parts
	GPUValues   int `json:"gpu_values"`   // of all fields of one GPU
	HostMetrics int `json:"host_metrics"` // names
	Metrics     int `json:"metrics"`      // names in all
	Labels      int `json:"labels"`       // of one record
	LabelBytes  int `json:"label_bytes"`

	PrincipalUploads int `json:"principal_uploads"` // of one principal at a time, and names that it brings
	PrincipalHosts   int `json:"principal_hosts"`
	PrincipalMetrics int `json:"principal_metrics"`
	PrincipalLabels  int `json:"principal_labels"`

	Streams             int     `json:"streams"`     // live ones at a time
	StreamSize          int64   `json:"stream_size"` // -1: no bound
	StreamIdleSeconds   float64 `json:"stream_idle_seconds"`
	BatchSize           int     `json:"batch_size"`
	IntervalSeconds     float64 `json:"stream_interval_seconds"`
	ClientRatePerSecond float64 `json:"client_uploads_per_second"` // negative: no bound
	ClientBurst         int     `json:"client_burst"`
}

// limitsOf returns the limits of a configuration; encrypted reports whether encrypted files can be opened.
func limitsOf(c Config, encrypted bool) serverLimits {
	l, fleet, live := c.Limits, c.Bounds, c.Streams
	size := live.MaxBytes(c.MaxUploadSize)
	if live.Size < 0 {
		size = -1
	}
	return serverLimits{
		MaxUploadSize: c.MaxUploadSize, MaxMemory: c.MaxMemory, Uploads: c.Uploads, Workers: c.Workers,
		Files: l.Files, Rows: l.Rows, Columns: l.Columns, LineBytes: l.LineBytes, HeaderBytes: l.HeaderBytes,
		PackedSize: l.PackedSize, UnpackedSize: l.UnpackedSize, UnpackRatio: l.UnpackRatio, Encrypted: encrypted,
		Hosts: fleet.Hosts, HostGPUs: fleet.GPUs, GPUParts: fleet.Parts, GPUValues: fleet.Values, HostMetrics: fleet.HostMetrics, Metrics: fleet.Metrics,
		Labels: fleet.Labels, LabelBytes: fleet.LabelBytes,
		PrincipalUploads: c.PrincipalUploads, PrincipalHosts: fleet.SenderHosts, PrincipalMetrics: fleet.SenderMetrics, PrincipalLabels: fleet.SenderLabels,
		Streams: live.MaxStreams, StreamSize: size, StreamIdleSeconds: live.Idle.Seconds(), BatchSize: live.BatchSize,
		IntervalSeconds: live.Interval.Seconds(), ClientRatePerSecond: c.Rates.PerSecond, ClientBurst: c.Rates.Burst,
	}
}

// answerStatus answers GET /api/v1/status: the work of this process since it started, and its condition.
func (s *Server) answerStatus(c *fiber.Ctx) error {
	t, etcd := s.totals, etcdStatusOf(s.log)
	condition := "ok"
	switch {
	case s.slots.isClosed():
		condition = "stopping"
	case !etcd.Reachable:
		condition = "degraded"
	}
	return c.JSON(serverStatus{
		Success: true, Service: "ingestd", Version: build.Version(), Status: condition,
		StartedAt: s.started.UTC(), UptimeSeconds: int64(time.Since(s.started).Seconds()),
		Etcd:       etcd,
		Admission:  s.admission.statusView(),
		Uploads:    uploadCount{t.inFlight.Load(), t.uploads.Load()},
		Background: s.background.SpoolStatus(),
		Records:    recordCount{t.accepted.Load(), t.duplicate.Load(), t.rejected.Load(), t.absent.Load()},
		Events:     answer.EventCount{Appended: t.eventsAppended.Load(), Existing: t.eventsExisting.Load()},
		Bytes:      t.bytes.Load(),
		Limits:     limitsOf(s.cfg, len(s.intake.Unpacking.Identities) > 0),
	})
}

// etcdStatusOf returns the state of the log.
func etcdStatusOf(log eventLog) etcdStatus {
	head, err := readHead(context.Background(), log)
	if err != nil {
		return etcdStatus{Error: err.Error()}
	}
	return etcdStatus{Reachable: true, Revision: head.String()}
}
