package ingest

import (
	"cmp"
	"context"
	"runtime/debug"
	"time"

	"github.com/gofiber/fiber/v2"
)

// health answers GET /health: the process is alive. Whether it should get traffic is for readiness.
func (s *Server) health(c *fiber.Ctx) error {
	return c.JSON(struct {
		Status string `json:"status"`
	}{"healthy"})
}

type serverStatus struct {
	Success       bool            `json:"success"`
	Service       string          `json:"service"`
	Version       string          `json:"version"`
	Status        string          `json:"status"` // ok, degraded (etcd does not answer) or stopping
	StartedAt     time.Time       `json:"started_at"`
	UptimeSeconds int64           `json:"uptime_seconds"`
	Etcd          etcdStatus      `json:"etcd"`
	Admission     admissionStatus `json:"admission"`
	Uploads       uploadCount     `json:"uploads"`
	Background    spoolStatus     `json:"background"`
	Records       recordCount     `json:"records"`
	Events        eventCount      `json:"events"`
	Bytes         int64           `json:"bytes"`
	Limits        serverLimits    `json:"limits"`
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

// spoolStatus tells of uploads with async=true, and of the directory that keeps them.
type spoolStatus struct {
	Dir        string `json:"dir"`
	Uploads    int    `json:"uploads"` // waiting or being processed
	Bytes      int64  `json:"bytes"`   // of them, and of those with strict=true
	MaxUploads int    `json:"max_uploads"`
	MaxBytes   int64  `json:"max_bytes"`
	Error      string `json:"error,omitempty"` // why the directory cannot be used
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

	Streams             int     `json:"streams"`     // live ones at a time
	StreamSize          int64   `json:"stream_size"` // -1: no bound
	StreamIdleSeconds   float64 `json:"stream_idle_seconds"`
	BatchSize           int     `json:"batch_size"`
	IntervalSeconds     float64 `json:"stream_interval_seconds"`
	ClientRatePerSecond float64 `json:"client_uploads_per_second"` // negative: no bound
	ClientBurst         int     `json:"client_burst"`
}

func (s *Server) limits() serverLimits {
	c, l, live := s.cfg, s.cfg.Limits, s.cfg.Streams
	size := live.size(c.MaxUploadSize)
	if live.Size < 0 {
		size = -1
	}
	return serverLimits{
		MaxUploadSize: c.MaxUploadSize, MaxMemory: c.MaxMemory, Uploads: c.Uploads, Workers: c.Workers,
		Files: l.Files, Rows: l.Rows, Columns: l.Columns, LineBytes: l.LineBytes, HeaderBytes: l.HeaderBytes,
		PackedSize: l.PackedSize, UnpackedSize: l.UnpackedSize, UnpackRatio: l.UnpackRatio, Encrypted: len(s.packing.Identities) > 0,
		Streams: live.Most, StreamSize: size, StreamIdleSeconds: live.Idle.Seconds(), BatchSize: live.BatchSize,
		IntervalSeconds: live.Interval.Seconds(), ClientRatePerSecond: c.Rates.PerSecond, ClientBurst: c.Rates.Burst,
	}
}

// status answers GET /api/v1/status: what this process has done since it started, and whether it can go on.
func (s *Server) status(c *fiber.Ctx) error {
	t, etcd := s.totals, s.etcdStatus()
	condition := "ok"
	switch {
	case s.gate.isClosed():
		condition = "stopping"
	case !etcd.Reachable:
		condition = "degraded"
	}
	return c.JSON(serverStatus{
		Success: true, Service: "ingestd", Version: version(), Status: condition,
		StartedAt: s.started.UTC(), UptimeSeconds: int64(time.Since(s.started).Seconds()),
		Etcd:       etcd,
		Admission:  s.admission.status(),
		Uploads:    uploadCount{t.inFlight.Load(), t.uploads.Load()},
		Background: s.background.condition(),
		Records:    recordCount{t.accepted.Load(), t.duplicate.Load(), t.rejected.Load(), t.absent.Load()},
		Events:     eventCount{t.eventsAppended.Load(), t.eventsExisting.Load()},
		Bytes:      t.bytes.Load(),
		Limits:     s.limits(),
	})
}

func (s *Server) etcdStatus() etcdStatus {
	head, err := s.head(context.Background())
	if err != nil {
		return etcdStatus{Error: err.Error()}
	}
	return etcdStatus{Reachable: true, Revision: head.String()}
}

// version is what the build recorded about itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(len(setting.Value), 12)]
		}
	}
	return cmp.Or(info.Main.Version, "unknown")
}
