package live

import (
	"errors"
	"flag"
	"time"
)

// Config bounds the hub. The zero value of each field means its default.
type Config struct {
	Heartbeat  time.Duration // default 5s
	QueueBytes int           // EventsMode: bound of one subscriber's queue, default 1 MiB
	Ring       int           // recent changes kept for resuming, default 4096
}

// Flags registers the hub's flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.DurationVar(&c.Heartbeat, "live.heartbeat", 5*time.Second, "pause between heartbeats to subscribers")
}

var (
	// ErrSlow ends an EventsMode subscription whose queue was full; resume from the last token.
	ErrSlow = errors.New("subscriber too slow; resume from the last token")
	// ErrClosed ends a subscription that was closed, or whose hub stopped.
	ErrClosed = errors.New("subscription closed")
)
