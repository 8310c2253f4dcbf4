package socket

import (
	"cmp"
	"errors"
	"flag"
	"time"

	"telemetry-pipeline/events/trace"
)

// Config bounds the server. The zero value of each field means its default.
type Config struct {
	Connections   int // at once; default 16,384
	PerIP         int // at once from one address, and of one principal; default 4,096
	Subscriptions int // at once on one connection; default 64
	PerCaller     int // subscriptions and other operations of one principal, else of one address, at once; default 16,384

	Ping         time.Duration // between pings; default 20s
	Silence      time.Duration // longest time without an answer of the client; default 60s
	WriteTimeout time.Duration // of one frame; default 5s
	InitTimeout  time.Duration // until connection_init (graphql-transport-ws); default 3s
	SubTimeout   time.Duration // until the first sub (gpu.live.v1); default 10s

	// Clusters, if set, provides the live views of several clusters in place of the one.
	Clusters clusters

	Gate   gate          // decides who may connect; it is needed
	Tracer *trace.Tracer // records the pushes of sampled uploads; nil: none

	// Metric returns a metric's canonical name; nil leaves names unchanged.
	Metric func(name string) string
}

const (
	defaultConnections   = 16384
	defaultPerIP         = 4096
	defaultSubscriptions = 64
	defaultPerCaller     = 16384
	defaultPing          = 20 * time.Second
	defaultSilence       = 60 * time.Second
	defaultWriteTimeout  = 5 * time.Second
	defaultInitTimeout   = 3 * time.Second
	defaultSubTimeout    = 10 * time.Second

	maxFrame  = 64 << 10 // bytes of a client's message
	maxID     = 128      // bytes of a subscription's id
	opsBurst  = 128      // client messages of gpu.live.v1 at once,
	opsPerSec = 32       // and in the long run
)

// Flags registers the server's flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.IntVar(&c.Connections, "socket.connections", defaultConnections, "WebSocket connections at once")
	fs.IntVar(&c.PerIP, "socket.per-ip", defaultPerIP, "WebSocket connections at once from one address, and of one principal")
	fs.IntVar(&c.Subscriptions, "socket.subscriptions", defaultSubscriptions, "subscriptions at once on one WebSocket connection")
	fs.IntVar(&c.PerCaller, "socket.per-principal-subscriptions", defaultPerCaller, "subscriptions and other operations of one principal, else of one address, at once on all its WebSocket connections")
	fs.DurationVar(&c.Ping, "socket.ping", defaultPing, "pause between WebSocket pings")
	fs.DurationVar(&c.WriteTimeout, "socket.write-timeout", defaultWriteTimeout,
		"time that a client has to take one WebSocket frame")
}

// withDefaults returns c with its zero fields set. It returns an error for negative limits, and without a gate.
func (c Config) withDefaults() (Config, error) {
	if c.Gate == nil {
		return c, errors.New("configuring WebSockets: there is no gate to decide who may connect")
	}
	if min(c.Connections, c.PerIP, c.Subscriptions, c.PerCaller) < 0 || min(c.Ping, c.Silence, c.WriteTimeout, c.InitTimeout, c.SubTimeout) < 0 {
		return c, errors.New("configuring WebSockets: limits and times (flags socket.…) must not be negative")
	}
	c.Connections = cmp.Or(c.Connections, defaultConnections)
	c.PerIP = cmp.Or(c.PerIP, defaultPerIP)
	c.Subscriptions = cmp.Or(c.Subscriptions, defaultSubscriptions)
	c.PerCaller = cmp.Or(c.PerCaller, defaultPerCaller)
	c.Ping = cmp.Or(c.Ping, defaultPing)
	c.Silence = cmp.Or(c.Silence, max(defaultSilence, 3*c.Ping))
	c.WriteTimeout = cmp.Or(c.WriteTimeout, defaultWriteTimeout)
	c.InitTimeout = cmp.Or(c.InitTimeout, defaultInitTimeout)
	c.SubTimeout = cmp.Or(c.SubTimeout, defaultSubTimeout)
	if c.Metric == nil {
		c.Metric = func(name string) string { return name }
	}
	return c, nil
}
