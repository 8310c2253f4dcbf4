package rest

import (
	"flag"
	"time"
)

// Config bounds requests. The zero value of each field means its default.
type Config struct {
	Timeout time.Duration // of a request, without the time of ?wait=; default 30s
	MaxWait time.Duration // of ?wait=; default 10s

	ClusterID string // in the list of clusters, where there is one; it has no flag here
}

const (
	defaultTimeout = 30 * time.Second
	defaultMaxWait = 10 * time.Second
)

// Flags registers the flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.DurationVar(&c.Timeout, "rest.timeout", defaultTimeout, "longest time a REST request may take")
	fs.DurationVar(&c.MaxWait, "rest.max-wait", defaultMaxWait, "longest time ?wait=<revision> waits")
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxWait <= 0 {
		c.MaxWait = defaultMaxWait
	}
	return c
}
