package bounds

import (
	"cmp"
	"flag"
	"fmt"
)

// Config holds the bounds. The zero value of each field means its default.
type Config struct {
	Hosts       int // in all; default 1,000,000
	GPUs        int // of one host; default 16,384
	Parts       int // of one GPU within a minute, or of a host outside its GPUs; default 4,096
	HostMetrics int // names of metrics of one host; default 4,096
	Metrics     int // names of metrics in all; default 65,536
	Labels      int // of one record; default 128
	LabelBytes  int // of one record, names and values together; default 16 KiB
}

// Flags registers the bounds.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.WithDefaults()
	fs.IntVar(&c.Hosts, "ingest.max-hosts", d.Hosts, "most hosts in all; records of further ones are rejected")
	fs.IntVar(&c.GPUs, "ingest.max-gpus", d.GPUs, "most GPUs of one host; records of further ones are rejected")
	fs.IntVar(&c.Parts, "ingest.max-parts", d.Parts,
		"most parts (processes, links, instances) of one GPU within a minute; records of further ones are rejected")
	fs.IntVar(&c.HostMetrics, "ingest.max-host-metrics", d.HostMetrics, "most names of metrics of one host; records of further ones are rejected")
	fs.IntVar(&c.Metrics, "ingest.max-metrics", d.Metrics, "most names of metrics in all; records of further ones are rejected")
	fs.IntVar(&c.Labels, "ingest.max-labels", d.Labels, "most labels of one record; a record with more is rejected")
	fs.IntVar(&c.LabelBytes, "ingest.max-label-bytes", d.LabelBytes, "most bytes in the labels of one record; a record with more is rejected")
}

// WithDefaults returns the bounds with defaults in place of zeros.
func (c Config) WithDefaults() Config {
	return Config{
		Hosts:       cmp.Or(c.Hosts, 1_000_000),
		GPUs:        cmp.Or(c.GPUs, 16_384),
		Parts:       cmp.Or(c.Parts, 4096),
		HostMetrics: cmp.Or(c.HostMetrics, 4096),
		Metrics:     cmp.Or(c.Metrics, 65_536),
		Labels:      cmp.Or(c.Labels, 128),
		LabelBytes:  cmp.Or(c.LabelBytes, 16<<10),
	}
}

// CheckFlags refuses bounds with which nothing could work, by the name of the flag.
func (c Config) CheckFlags() error {
	for _, b := range []struct {
		name  string
		value int
	}{
		{"ingest.max-hosts", c.Hosts},
		{"ingest.max-gpus", c.GPUs},
		{"ingest.max-parts", c.Parts},
		{"ingest.max-host-metrics", c.HostMetrics},
		{"ingest.max-metrics", c.Metrics},
		{"ingest.max-labels", c.Labels},
		{"ingest.max-label-bytes", c.LabelBytes},
	} {
		if b.value < 0 {
			return fmt.Errorf("flag %s is %d; it must be positive", b.name, b.value)
		}
	}
	return nil
}
