package ingest

import (
	"cmp"
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// Config bounds an upload server. The zero value of each field means its default.
type Config struct {
	Host    string // address to bind, as listen.Open takes it; "" means this machine only
	Port    Port   // default 8081
	Off     bool   // no listener at all (flag enable-http=false)
	Workers int    // parsers of one upload; default: one per processor

	MaxUploadSize int64 // bytes of one upload as it is sent, all its files together; default 100 MiB
	MaxMemory     int64 // bytes in flight over all uploads; default 32 MiB
	Uploads       int   // uploads served at a time, besides small ones; default 8, others wait for their turn
	// Uploads of one principal at a time, and the same share of the room for small uploads and of live streams; default three
	// quarters of Uploads. Nobody is bounded without access control.
	PrincipalUploads int

	Connections      int // default 4096
	ConnectionsPerIP int // default 2048

	HeaderTimeout time.Duration // for a request's header; default 10s
	QueueTimeout  time.Duration // for an upload's turn, then it is answered 503; default 30s
	ReadTimeout   time.Duration // for the next bytes of a body; default 30s
	MinRate       int64         // bytes per second that an upload must reach on average; default 1024
	AppendTimeout time.Duration // for one append, retries included; default 30s
	WaitTimeout   time.Duration // for ?wait=true; default 30s
	DrainTimeout  time.Duration // for uploads under way at a stop; default 7s

	Limits      intake.Limits // of one upload
	Bounds      bounds.Config // of the fleet that uploads describe
	AgeIdentity string        // file with identities that open encrypted files; "" refuses these

	Spool      spool.Config // where uploads with ?async=true and ?strict=true are kept
	Background int          // uploads with ?async=true processed at a time; default 2
	AsyncOff   bool         // uploads with ?async=true are refused (flag ingest.async=false), where nothing outlives the process

	// Guard identifies callers, and TLS encrypts the listener. Nil lets everybody on this machine in, without encryption. They have
	// no flags here: all listeners of a process share them.
	Guard *access.Guard
	TLS   *listen.TLS

	Tracer *trace.Tracer // records requests; nil: none. It has no flag here

	// States is where others learn how uploads with ?async=true fare. Nil keeps that in this process. It has no flag.
	States *uploads.Registry

	Streams intake.Streams // of live streams
	Rates   Rates          // of one client

	Thresholds Thresholds // from where on uploads are slowed down and refused

	Zone string // time zone of times that name none, unless ?tz= does; default UTC
}

// Flags registers the settings. Their environment variables are HTTP_PORT for http.port,
// MAX_UPLOAD_SIZE for max-upload-size and so on.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.withDefaults()
	fs.StringVar(&c.Host, "http.host", d.Host, "address that the upload server binds; empty means this machine only (127.0.0.1 and ::1); 0.0.0.0 or * means all interfaces")
	fs.Var(&c.Port, "http.port", "port of the upload server; 0 takes a free one")
	fs.Var((*enabledFlag)(&c.Off), "enable-http", "serve uploads over HTTP")
	fs.IntVar(&c.Workers, "ingest.workers", c.Workers, "parsers that share the work of one upload; 0 means one per processor")
	fs.Int64Var(&c.MaxUploadSize, "max-upload-size", d.MaxUploadSize, "largest upload that is accepted, in bytes as sent, all its files together")

	fs.Int64Var(&c.MaxMemory, "max-memory", d.MaxMemory,
		"bytes that all uploads together may hold in flight between the socket and the log, an eighth of them for uploads of at most 60 KiB; "+
			"records that wait to be cut into events (a million at most of each upload, mostly below 100 MB) come on top")
	fs.IntVar(&c.Uploads, "ingest.uploads", d.Uploads,
		"uploads of more than 60 KiB, or of unknown size, that are served at a time; others wait for their turn. Smaller ones are bounded by max-memory")
	fs.IntVar(&c.PrincipalUploads, "ingest.principal-uploads", c.PrincipalUploads,
		"uploads of one principal that are served at a time, and the same share of the room for small uploads and of live streams; others wait, "+
			"then are answered 429. 0 means three quarters of ingest.uploads; without access control nobody is bounded")
	fs.DurationVar(&c.QueueTimeout, "ingest.queue-timeout", d.QueueTimeout,
		"how long an upload waits for its turn before it is answered 503 with Retry-After")
	fs.IntVar(&c.Connections, "ingest.connections", d.Connections, "connections served at a time")
	fs.IntVar(&c.ConnectionsPerIP, "ingest.connections-per-ip", d.ConnectionsPerIP, "connections of one address served at a time")
	fs.DurationVar(&c.HeaderTimeout, "ingest.header-timeout", d.HeaderTimeout, "how long a request's header may take")
	fs.DurationVar(&c.ReadTimeout, "ingest.read-timeout", d.ReadTimeout, "how long an upload may stay silent")
	fs.Int64Var(&c.MinRate, "ingest.min-rate", d.MinRate, "bytes per second that an upload must reach on average")
	fs.DurationVar(&c.AppendTimeout, "ingest.append-timeout", d.AppendTimeout,
		"how long etcd may take to accept an append, retries included, before the upload is answered 503")
	fs.DurationVar(&c.WaitTimeout, "ingest.wait-timeout", d.WaitTimeout, "how long an upload with wait=true waits to be visible")
	fs.DurationVar(&c.DrainTimeout, "ingest.drain-timeout", d.DrainTimeout,
		"how long uploads under way may go on when the process stops")
	c.Limits.Flags(fs)
	c.Bounds.Flags(fs)
	fs.StringVar(&c.AgeIdentity, "ingest.age-identity", d.AgeIdentity,
		"file with the identities that open age-encrypted files, as age-keygen writes it; empty refuses such files")
	c.Spool.Flags(fs)
	fs.IntVar(&c.Background, "ingest.background", d.Background, "uploads with async=true that are processed at a time; they count towards ingest.uploads")
	fs.Var((*enabledFlag)(&c.AsyncOff), "ingest.async",
		"accept uploads with async=true; false where upload-dir does not outlive the process, so that no upload is lost that was answered 202")
	c.Streams.Flags(fs)
	c.Rates.registerFlags(fs)
	c.Thresholds.registerFlags(fs)
	fs.StringVar(&c.Zone, "ingest.tz", d.Zone, "time zone of times that name none: an IANA name or ±hh:mm")
}

// CheckExposed returns access.ErrExposed if other machines reach the server although the guard lets everybody in. New does so
// too; a process asks before it opens anything.
func (c Config) CheckExposed(guard *access.Guard) error {
	return guard.CheckExposed("http.host", c.Host, c.Off || listen.IsLoopback(c.Host))
}

func (c Config) withDefaults() Config {
	c.Workers = cmp.Or(c.Workers, runtime.GOMAXPROCS(0))
	c.MaxUploadSize = cmp.Or(c.MaxUploadSize, 100<<20)
	c.MaxMemory = cmp.Or(c.MaxMemory, 32<<20)
	c.Uploads = cmp.Or(c.Uploads, 8)
	c.PrincipalUploads = cmp.Or(c.PrincipalUploads, max(c.Uploads*3/4, 1))
	c.Connections = cmp.Or(c.Connections, 4096)
	c.ConnectionsPerIP = cmp.Or(c.ConnectionsPerIP, 2048)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 10*time.Second)
	c.QueueTimeout = cmp.Or(c.QueueTimeout, 30*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 30*time.Second)
	c.MinRate = cmp.Or(c.MinRate, 1024)
	c.AppendTimeout = cmp.Or(c.AppendTimeout, 30*time.Second)
	c.WaitTimeout = cmp.Or(c.WaitTimeout, 30*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 7*time.Second)
	c.Limits = c.Limits.WithDefaults()
	c.Bounds = c.Bounds.WithDefaults()
	c.Spool = c.Spool.WithDefaults()
	c.Background = cmp.Or(c.Background, 2)
	c.Streams = c.Streams.WithDefaults()
	c.Rates = c.Rates.withDefaults()
	c.Thresholds = c.Thresholds.withDefaults()
	c.Zone = cmp.Or(c.Zone, "UTC")
	return c
}

// pipelineConfig returns the bounds of the processing of one upload.
func (c Config) pipelineConfig(in intake.Config) pipeline.Config {
	return pipeline.Config{
		Workers: c.Workers, MemoryBytes: c.uploadMemory(), AppendTimeout: c.AppendTimeout,
		Limits: c.Limits, Streams: c.Streams, Unpacking: in.Unpacking, Bounds: c.Bounds,
	}
}

// checkFlags refuses settings with which nothing could work, by the name of the flag.
func (c Config) checkFlags() error {
	positive := []struct {
		name  string
		value int64
	}{
		{"ingest.workers", int64(c.Workers)},
		{"max-upload-size", c.MaxUploadSize},
		{"max-memory", c.MaxMemory},
		{"ingest.uploads", int64(c.Uploads)},
		{"ingest.principal-uploads", int64(c.PrincipalUploads)},
		{"ingest.connections", int64(c.Connections)},
		{"ingest.connections-per-ip", int64(c.ConnectionsPerIP)},
		{"ingest.header-timeout", int64(c.HeaderTimeout)},
		{"ingest.read-timeout", int64(c.ReadTimeout)},
		{"ingest.min-rate", c.MinRate},
		{"ingest.append-timeout", int64(c.AppendTimeout)},
		{"ingest.wait-timeout", int64(c.WaitTimeout)},
		{"ingest.drain-timeout", int64(c.DrainTimeout)},
		{"ingest.background", int64(c.Background)},
		{"ingest.queue-timeout", int64(c.QueueTimeout)},
	}
	for _, p := range positive {
		if p.value < 0 {
			return fmt.Errorf("flag %s is %d; it must be positive", p.name, p.value)
		}
	}
	if err := c.Limits.CheckFlags(); err != nil {
		return err
	}
	if err := c.Bounds.CheckFlags(); err != nil {
		return err
	}
	if err := c.Spool.CheckFlags(); err != nil {
		return err
	}
	if err := c.Streams.CheckFlags(); err != nil {
		return err
	}
	if err := c.Rates.checkFlags(); err != nil {
		return err
	}
	if err := c.Thresholds.checkFlags(); err != nil {
		return err
	}
	if _, err := pipeline.ParseZone(c.Zone); err != nil {
		return fmt.Errorf("flag ingest.tz: %w", err)
	}
	return nil
}

// Port is a TCP port to listen on. Zero means the default, 8081.
type Port int

// FreePort lets the system choose; Server.Addr returns the choice.
const FreePort Port = -1

const defaultPort = 8081

// Number returns the port to listen on; 0 lets the system choose.
func (p Port) Number() int {
	if p == FreePort {
		return 0
	}
	return cmp.Or(int(p), defaultPort)
}

// String returns the port as the flag takes it: 0 is a free one.
func (p Port) String() string { return strconv.Itoa(p.Number()) }

// Set undoes String.
func (p *Port) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return fmt.Errorf("%q is no port; give a number from 0 (any free one) to 65535", s)
	}
	*p = Port(n)
	if n == 0 {
		*p = FreePort
	}
	return nil
}

// enabledFlag is a flag that is true by default, kept as its opposite so that a zero Config is enabled.
type enabledFlag bool

// IsBoolFlag returns true, so that the flag may stand without a value.
func (e *enabledFlag) IsBoolFlag() bool { return true }

// String returns "true" while it is enabled.
func (e *enabledFlag) String() string { return strconv.FormatBool(!bool(*e)) }

// Set undoes String.
func (e *enabledFlag) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	*e = enabledFlag(!on)
	return nil
}
