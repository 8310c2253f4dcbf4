package socket

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"
)

// Config bounds the server. The zero value of each field means its default.
type Config struct {
	Origins       string // origins of other sites whose pages may connect, comma-separated and exact; "*" is any; default none
	Connections   int    // at once; default 16,384
	PerIP         int    // at once from one address; default 4,096
	Subscriptions int    // at once on one connection; default 64

	Ping         time.Duration // between pings; default 20s
	Silence      time.Duration // longest time without an answer of the client; default 60s
	WriteTimeout time.Duration // of one frame; default 5s
	InitTimeout  time.Duration // until connection_init (graphql-transport-ws); default 3s
	SubTimeout   time.Duration // until the first sub (gpu.live.v1); default 10s

	// Metric returns a metric's canonical name; nil leaves names unchanged.
	Metric func(name string) string
}

const (
	defaultConnections   = 16384
	defaultPerIP         = 4096
	defaultSubscriptions = 64
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
	fs.StringVar(&c.Origins, "socket.origins", "", "origins of other sites whose pages may open WebSockets, comma-separated and exact such as https://example.org; * is any")
	fs.IntVar(&c.Connections, "socket.connections", defaultConnections, "WebSocket connections at once")
	fs.IntVar(&c.PerIP, "socket.per-ip", defaultPerIP, "WebSocket connections at once from one address")
	fs.IntVar(&c.Subscriptions, "socket.subscriptions", defaultSubscriptions, "subscriptions at once on one WebSocket connection")
	fs.DurationVar(&c.Ping, "socket.ping", defaultPing, "pause between WebSocket pings")
	fs.DurationVar(&c.WriteTimeout, "socket.write-timeout", defaultWriteTimeout,
		"time that a client has to take one WebSocket frame")
}

// withDefaults returns c with its zero fields set. It returns an error for negative limits and malformed origins.
func (c Config) withDefaults() (Config, error) {
	if min(c.Connections, c.PerIP, c.Subscriptions) < 0 || min(c.Ping, c.Silence, c.WriteTimeout, c.InitTimeout, c.SubTimeout) < 0 {
		return c, errors.New("configuring WebSockets: limits and times (flags socket.…) must not be negative")
	}
	c.Connections = cmp.Or(c.Connections, defaultConnections)
	c.PerIP = cmp.Or(c.PerIP, defaultPerIP)
	c.Subscriptions = cmp.Or(c.Subscriptions, defaultSubscriptions)
	c.Ping = cmp.Or(c.Ping, defaultPing)
	c.Silence = cmp.Or(c.Silence, max(defaultSilence, 3*c.Ping))
	c.WriteTimeout = cmp.Or(c.WriteTimeout, defaultWriteTimeout)
	c.InitTimeout = cmp.Or(c.InitTimeout, defaultInitTimeout)
	c.SubTimeout = cmp.Or(c.SubTimeout, defaultSubTimeout)
	if c.Metric == nil {
		c.Metric = func(name string) string { return name }
	}
	for _, o := range c.allowedOrigins() {
		if o != "*" && (!strings.Contains(o, "://") || strings.HasSuffix(o, "/")) {
			return c, fmt.Errorf("flag socket.origins: %q is no origin; write it as https://example.org, without a path, or * for any", o)
		}
	}
	return c, nil
}

// allowedOrigins returns the allowed foreign origins.
func (c Config) allowedOrigins() []string {
	var out []string
	for o := range strings.SplitSeq(c.Origins, ",") {
		if o = strings.TrimSpace(o); o != "" {
			out = append(out, o)
		}
	}
	return out
}
