package archive

import (
	"context"
	"flag"
)

// Config says where an archive is. The zero value means that there is none.
type Config struct {
	URL string // as for Open
}

// Flags registers the flag. Every process that reads or writes the archive is given the same.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "archive.url", c.URL,
		"where events go that leave etcd: file:///directory, or s3://bucket?region=…&endpoint=https://…; empty: there is no archive, and they are gone after -retention-days of collectd")
}

// Open opens the archive; without one it gives nil.
func (c Config) Open(ctx context.Context) (*Store, error) {
	if c.URL == "" {
		return nil, nil
	}
	return Open(ctx, c.URL)
}
