package archive

import (
	"context"
	"flag"
)

// Config is the location of an archive. The zero value means that there is no archive.
type Config struct {
	URL string // as for Open
}

// Flags registers the flag. Every process that reads or writes the archive needs the same value.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "archive.url", c.URL,
		"where events go that leave etcd: file:///directory, or s3://bucket?region=…&endpoint=https://…; empty: there is no archive, and they are gone after -retention-days of collectd")
}

// Open opens the archive. It returns nil when none is configured.
func (c Config) Open(ctx context.Context) (*Store, error) {
	if c.URL == "" {
		return nil, nil
	}
	return Open(ctx, c.URL)
}
