package live

import (
	"cmp"
	"errors"
	"flag"
	"time"
)

// Config bounds the hub. The zero value of each field means its default.
type Config struct {
	Heartbeat  time.Duration // default 5s
	QueueBytes int           // EventsMode: bound of one subscriber's queue, default 1 MiB
	Ring       int           // recent changes kept for resuming, default 4096
	RingBytes  int           // bound of the same changes in bytes, default 16 MiB
}

const (
	defaultHeartbeat  = 5 * time.Second
	defaultQueueBytes = 1 << 20
	defaultRing       = 4096
	defaultRingBytes  = 16 << 20
)

// Flags registers the hub's flags. The ring has none: its defaults bound memory and leave enough time to reconnect on
// any server.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.DurationVar(&c.Heartbeat, "live.heartbeat", defaultHeartbeat, "pause between heartbeats to subscribers")
	fs.IntVar(&c.QueueBytes, "live.queue-bytes", defaultQueueBytes,
		"bytes that one subscriber in events mode may have waiting before it is ended as too slow")
}

// withDefaults returns c with its zero fields set. It returns an error for negative values.
func (c Config) withDefaults() (Config, error) {
	if c.Heartbeat < 0 || c.QueueBytes < 0 || c.Ring < 0 || c.RingBytes < 0 {
		return c, errors.New("configuring the live view: live.heartbeat, live.queue-bytes and the sizes of the ring must not be negative")
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, defaultHeartbeat)
	c.QueueBytes = cmp.Or(c.QueueBytes, defaultQueueBytes)
	c.Ring = cmp.Or(c.Ring, defaultRing)
	c.RingBytes = cmp.Or(c.RingBytes, defaultRingBytes)
	return c, nil
}
