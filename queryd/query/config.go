package query

import (
	"cmp"
	"flag"
	"fmt"
	"strconv"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/listen"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/rest"
	"telemetry-pipeline/queryd/socket"
)

// Config configures the server. The zero value of each field means its default.
type Config struct {
	Host string // address to bind, as listen.Open takes it; "" means this machine only
	Port Port   // default 8080

	UploadURL UploadURL // to which uploads are redirected; "" answers them 410

	NoGraphQL   bool // flag enable-graphql=false
	NoWebSocket bool // flag enable-websocket=false

	HistoryCache   int64         // bytes of history that are kept in memory; default 128 MiB
	GraphQLTimeout time.Duration // of a GraphQL request; default 30s
	DrainTimeout   time.Duration // for open sockets and requests at a stop; default 7s

	// Guard identifies callers, and TLS encrypts the listener. Nil lets everybody on this machine in, without encryption. They have
	// no flags here: all listeners of a process share them.
	Guard *access.Guard
	TLS   *listen.TLS

	ClusterID string        // in the list of clusters; it has no flag here
	Tracer    *trace.Tracer // records requests and pushes; nil: none. It has no flag here

	Live   live.Config
	REST   rest.Config
	Socket socket.Config
}

// Flags registers the settings of the server and its surfaces. Their environment variables are PORT for port,
// ENABLE_GRAPHQL for enable-graphql and so on.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.withDefaults()
	fs.StringVar(&c.Host, "query.host", d.Host, "address that the query server binds; empty means this machine only (127.0.0.1 and ::1); 0.0.0.0 or * means all interfaces")
	fs.Var(&c.Port, "port", "port of the query server; 0 takes a free one")
	fs.Var(&c.UploadURL, "query.upload-url", "address of the uploads, which the gateway of earlier systems took, such as https://telemetry.example:8081/api/v1/csv/upload: "+
		"POST /api/v1/csv/upload is redirected there (308); empty: it is answered 410")
	fs.Var((*enabledFlag)(&c.NoGraphQL), "enable-graphql", "serve GraphQL on /graphql")
	fs.Var((*enabledFlag)(&c.NoWebSocket), "enable-websocket", "serve the live stream on /ws and GraphQL subscriptions on /graphql")
	fs.Int64Var(&c.HistoryCache, "history.cache", d.HistoryCache,
		"bytes of history that are kept in memory: three quarters for objects of the archive, the rest for chunks in etcd; 0 takes the default")
	fs.DurationVar(&c.GraphQLTimeout, "query.graphql-timeout", d.GraphQLTimeout, "longest time a GraphQL request may take")
	fs.DurationVar(&c.DrainTimeout, "query.drain-timeout", d.DrainTimeout,
		"how long sockets and requests under way may go on when the process stops")
	c.Live.Flags(fs)
	c.REST.Flags(fs)
	c.Socket.Flags(fs)
}

func (c Config) withDefaults() Config {
	c.HistoryCache = cmp.Or(c.HistoryCache, 128<<20)
	c.GraphQLTimeout = cmp.Or(c.GraphQLTimeout, 30*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 7*time.Second)
	return c
}

// CheckExposed returns access.ErrExposed if other machines reach the server although the guard lets everybody in. New does so
// too; a process asks before it opens anything.
func (c Config) CheckExposed(guard *access.Guard) error {
	return guard.CheckExposed("query.host", c.Host, listen.IsLoopback(c.Host))
}

// validateFlags refuses unusable settings and names the flag.
func (c Config) validateFlags() error {
	if c.GraphQLTimeout < 0 || c.DrainTimeout < 0 {
		return fmt.Errorf("flags query.graphql-timeout (%s) and query.drain-timeout (%s) must be positive",
			c.GraphQLTimeout, c.DrainTimeout)
	}
	if c.HistoryCache < 0 {
		return fmt.Errorf("flag history.cache (%d) must be positive", c.HistoryCache)
	}
	return nil
}

// Port is a TCP port to listen on. Zero means the default, 8080.
type Port int

// FreePort lets the system choose; Server.Addr returns the chosen port.
const FreePort Port = -1

const defaultPort = 8080

// Number returns the port for a listener.
func (p Port) Number() int {
	if p == FreePort {
		return 0
	}
	return cmp.Or(int(p), defaultPort)
}

// String returns the port as the flag takes it: 0 is a free one.
func (p Port) String() string { return strconv.Itoa(p.Number()) }

// Set parses the form that String returns.
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

// enabledFlag is a flag that is true by default, stored inverted so that a zero Config is enabled.
type enabledFlag bool

// IsBoolFlag reports that the flag may stand without a value.
func (e *enabledFlag) IsBoolFlag() bool { return true }

// String returns true if the surface is enabled, else false.
func (e *enabledFlag) String() string { return strconv.FormatBool(!bool(*e)) }

// Set parses the form that String returns.
func (e *enabledFlag) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	*e = enabledFlag(!on)
	return nil
}
