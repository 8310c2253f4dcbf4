package collect

import (
	"flag"
	"time"

	"telemetry-pipeline/collectd/partition"
	"telemetry-pipeline/collectd/retain"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/projections"
)

// Config holds the intervals and bounds of a collector. The zero value of each field means its default.
type Config struct {
	Workers        int           // concurrent folds; a partition is folded by one of them at a time. Default 8
	BufferSize     int           // records folded and not yet committed, per partition. Default 10,000
	PollInterval   time.Duration // interval of reading the log while no watch is possible. Default 1s
	LiveInterval   time.Duration // minimum pause between two writes of one host's live model. Default 50ms
	SeriesInterval time.Duration // maximum wait of a record for its chunk. Default 2s
	ChunkRecords   int           // records of one host that are written as a chunk at once. Default 24,000, about 64 KiB
	RebuildSize    int           // BufferSize of a partition that catches up in a generation being built. Default 200,000
	RemovalGrace   time.Duration // age, since its replacement, at which a retired generation is removed. Default 30s
	UpgradeGrace   time.Duration // the same of a generation of another model version. Default 1h
	GoneAfter      time.Duration // time after its last append at which a host or GPU leaves the live views. Default 30 days; the same in all collectors
	Lateness       time.Duration // record time after the end of an hour after which the host's chunks of that hour are merged. Default 15m

	Sharing partition.Config // how collectors share the partitions
	Retain  retain.Config    // retention of events and history in etcd
	Archive *archive.Store   // receives the events that leave the log; nil: there is no archive. It has no flag here

	Tracer *trace.Tracer // records the folds of sampled uploads; nil: none. It has no flag here

	compactionInterval                 time.Duration // for tests
	quarantineEntries, quarantineBytes int           // bounds of a partition's quarantine, for tests
}

const (
	defaultWorkers        = 8
	defaultBufferSize     = 10_000
	defaultPollInterval   = time.Second
	defaultLiveInterval   = 50 * time.Millisecond
	defaultSeriesInterval = 2 * time.Second
	defaultChunkRecords   = 24_000
	defaultRebuildSize    = 200_000
	defaultRemovalGrace   = 30 * time.Second
	defaultUpgradeGrace   = time.Hour
	defaultLateness       = 15 * time.Minute
)

// Flags registers the collector's flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.IntVar(&c.Workers, "workers", defaultWorkers, "partitions that are folded side by side")
	fs.IntVar(&c.BufferSize, "buffer-size", defaultBufferSize, "records of a partition that may be folded and not yet committed")
	fs.DurationVar(&c.PollInterval, "poll-interval", defaultPollInterval, "interval of reading the log while no watch is possible")
	fs.DurationVar(&c.LiveInterval, "collect.live-interval", defaultLiveInterval,
		"least pause between two writes of one host's live readings; under load commits are up to 1s apart by themselves")
	fs.DurationVar(&c.Lateness, "collect.lateness", defaultLateness,
		"how much later than the end of an hour a host's newest record is when the chunks of its history of that hour are merged; records that come later still are kept as well")
	fs.DurationVar(&c.GoneAfter, "collect.gone-after", projections.GoneAfter,
		"time since anything of a host or GPU was appended after which it leaves the live views; its history stays, and it is back with its next record. Give all collectors the same")
	c.Sharing.Flags(fs)
	c.Retain.Flags(fs)
	fs.DurationVar(&c.SeriesInterval, "collect.series-interval", defaultSeriesInterval,
		"longest wait of a record until its chunk of history is written")
}

func (c Config) withDefaults() Config {
	c.Workers = orDefault(c.Workers, defaultWorkers)
	c.BufferSize = orDefault(c.BufferSize, defaultBufferSize)
	c.PollInterval = orDefault(c.PollInterval, defaultPollInterval)
	c.LiveInterval = orDefault(c.LiveInterval, defaultLiveInterval)
	c.SeriesInterval = orDefault(c.SeriesInterval, defaultSeriesInterval)
	c.ChunkRecords = orDefault(c.ChunkRecords, defaultChunkRecords)
	c.RebuildSize = orDefault(c.RebuildSize, defaultRebuildSize)
	c.RemovalGrace = orDefault(c.RemovalGrace, defaultRemovalGrace)
	c.UpgradeGrace = orDefault(c.UpgradeGrace, defaultUpgradeGrace)
	c.GoneAfter = orDefault(c.GoneAfter, projections.GoneAfter)
	c.Lateness = orDefault(c.Lateness, defaultLateness)
	c.compactionInterval = orDefault(c.compactionInterval, defaultCompactionInterval)
	c.quarantineEntries = orDefault(c.quarantineEntries, maxQuarantineEntries)
	c.quarantineBytes = orDefault(c.quarantineBytes, maxQuarantineBytes)
	return c
}

func orDefault[T int | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}
