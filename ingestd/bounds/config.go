package bounds

import (
	"cmp"
	"flag"
	"fmt"

	"telemetry-pipeline/projections"
)

// Config holds the bounds. The zero value of each field means its default.
type Config struct {
	Hosts       int // in all; default 1,000,000
	GPUs        int // of one host; default 16,384
	Parts       int // processes of one GPU within a minute, and its other parts; default 4,096
	Values      int // of all fields of one GPU (index, address, model, driver, and others); default 1,024
	HostMetrics int // names of metrics of one host; default 4,096
	Metrics     int // names of metrics in all; default 65,536
	Labels      int // of one record; default 128
	LabelBytes  int // of one record, names and values together; default 16 KiB

	// Of one sender: names that were new to the ledger when it brought them.
	SenderHosts   int // default 100,000
	SenderMetrics int // names of metrics; default 16,384
	SenderLabels  int // names of labels; default 4,096
}

// Flags registers the bounds.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.WithDefaults()
	fs.IntVar(&c.Hosts, "ingest.max-hosts", d.Hosts, "most hosts in all; records of further ones are rejected")
	fs.IntVar(&c.GPUs, "ingest.max-gpus", d.GPUs, "most GPUs of one host; records of further ones are rejected")
	fs.IntVar(&c.Parts, "ingest.max-parts", d.Parts,
		"most processes of one GPU within a minute, and most other parts (links, instances) of one GPU; records of further ones are rejected")
	fs.IntVar(&c.Values, "ingest.max-values", d.Values,
		"most values that the fields of one GPU (index, address, model, driver) may have had, together; records of further ones are rejected")
	fs.IntVar(&c.HostMetrics, "ingest.max-host-metrics", d.HostMetrics, "most names of metrics of one host; records of further ones are rejected")
	fs.IntVar(&c.Metrics, "ingest.max-metrics", d.Metrics, "most names of metrics in all; records of further ones are rejected")
	fs.IntVar(&c.Labels, "ingest.max-labels", d.Labels, "most labels of one record; a record with more is rejected")
	fs.IntVar(&c.LabelBytes, "ingest.max-label-bytes", d.LabelBytes, "most bytes in the labels of one record; a record with more is rejected")
	fs.IntVar(&c.SenderHosts, "ingest.principal-hosts", d.SenderHosts,
		"most hosts that one principal may bring, besides the ones that others brought; records of further ones are rejected. Nobody is bounded without access control")
	fs.IntVar(&c.SenderMetrics, "ingest.principal-metrics", d.SenderMetrics, "most names of metrics that one principal may bring, in the same way")
	fs.IntVar(&c.SenderLabels, "ingest.principal-labels", d.SenderLabels, "most names of labels that one principal may bring, in the same way")
}

// WithDefaults returns the bounds with defaults in place of zeros. The bounds that folds have too are four fifths of theirs:
// several servers may each accept a few more than one of them would (see Ledger).
func (c Config) WithDefaults() Config {
	fold := projections.Bounds{}.WithDefaults()
	return Config{
		Hosts:       cmp.Or(c.Hosts, 1_000_000),
		GPUs:        cmp.Or(c.GPUs, fold.GPUs/5*4),
		Parts:       cmp.Or(c.Parts, fold.Parts/5*4),
		Values:      cmp.Or(c.Values, fold.Values/5*4),
		HostMetrics: cmp.Or(c.HostMetrics, fold.Metrics/5*4),
		Metrics:     cmp.Or(c.Metrics, 65_536),
		Labels:      cmp.Or(c.Labels, 128),
		LabelBytes:  cmp.Or(c.LabelBytes, 16<<10),

		SenderHosts:   cmp.Or(c.SenderHosts, 100_000),
		SenderMetrics: cmp.Or(c.SenderMetrics, 16_384),
		SenderLabels:  cmp.Or(c.SenderLabels, 4096),
	}
}

// CheckFlags refuses bounds with which nothing could work, and bounds above the ones of folds, which would put the records beyond
// into quarantine after their uploads were accepted. Errors have the name of the flag.
func (c Config) CheckFlags() error {
	fold := projections.Bounds{}.WithDefaults()
	for _, b := range []struct {
		name        string
		value, most int // most 0: no bound
	}{
		{"ingest.max-hosts", c.Hosts, 0},
		{"ingest.max-gpus", c.GPUs, fold.GPUs},
		{"ingest.max-parts", c.Parts, fold.Parts},
		{"ingest.max-values", c.Values, fold.Values},
		{"ingest.max-host-metrics", c.HostMetrics, fold.Metrics},
		{"ingest.max-metrics", c.Metrics, 0},
		{"ingest.max-labels", c.Labels, 0},
		{"ingest.max-label-bytes", c.LabelBytes, 0},
		{"ingest.principal-hosts", c.SenderHosts, 0},
		{"ingest.principal-metrics", c.SenderMetrics, 0},
		{"ingest.principal-labels", c.SenderLabels, 0},
	} {
		if b.value < 0 {
			return fmt.Errorf("flag %s is %d; it must be positive", b.name, b.value)
		}
		if b.most > 0 && b.value > b.most {
			return fmt.Errorf("flag %s is %d; it must be at most %d, which is all that collectors fold", b.name, b.value, b.most)
		}
	}
	return nil
}
