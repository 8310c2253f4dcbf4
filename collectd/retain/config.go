package retain

import (
	"flag"
	"time"
)

// Config sets which data is kept in etcd and in the archive, and for how long. The zero value of each field means its
// default.
type Config struct {
	RetentionDays int // of events and history without an archive, from their append on. Default 7
	ArchiveDays   int // of the archive, from the append on. Default 0: for ever

	ArchiveInterval time.Duration // oldest append that waits for the archive. Default 1h
	ArchiveRecords  int           // records that are archived at once, however young. Default 400,000
	MergeEntries    int           // small entries of the archive that are merged nevertheless. Default 12

	KeepReplaced time.Duration // lifetime of replaced objects. Default 24h

	HotWindow time.Duration // time that archived events stay in etcd too. Default 6h
	HotShare  int           // percent of etcd's quota in use from which archived events leave earlier. Default 10

	CompactInterval time.Duration // default 5m; negative: never
	CompactBytes    int64         // growth of etcd that is compacted at once. Default 128 MiB

	Grace time.Duration // delay of readers behind the manifest. Default 15s
	Pace  time.Duration // pause between two transactions of deletes. Default 5ms
	Look  time.Duration // interval between two looks at a partition; removal from etcd is checked at ten times that. Default 1s
}

const (
	defaultRetentionDays   = 7
	defaultArchiveInterval = time.Hour
	defaultArchiveRecords  = 400_000
	defaultMergeEntries    = 12
	defaultKeepReplaced    = 24 * time.Hour
	defaultHotWindow       = 6 * time.Hour
	defaultHotShare        = 10
	defaultCompactInterval = 5 * time.Minute
	defaultCompactBytes    = 128 << 20
	defaultGrace           = 15 * time.Second
	defaultPace            = 5 * time.Millisecond
	defaultLook            = time.Second
)

// Flags registers the flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.IntVar(&c.RetentionDays, "retention-days", defaultRetentionDays,
		"days that events and history are kept without an archive, counted from the upload, independent of the times of their readings")
	fs.IntVar(&c.ArchiveDays, "archive-days", 0, "days that the archive keeps, counted from the upload; 0 keeps it for ever")
	fs.DurationVar(&c.ArchiveInterval, "archive.interval", defaultArchiveInterval, "how long an event waits at most until it is archived")
	fs.IntVar(&c.ArchiveRecords, "archive.records", defaultArchiveRecords, "records of a partition that are archived as soon as there are so many")
	fs.DurationVar(&c.KeepReplaced, "archive.keep-replaced", orDefault(c.KeepReplaced, defaultKeepReplaced),
		"how long archive objects stay after merged ones took their place: longer than the pace of etcd's backups, as a restored etcd lists them again")
	fs.DurationVar(&c.HotWindow, "hot.window", defaultHotWindow, "how long archived events stay in etcd too, for queries and rebuilds that need no archive")
	fs.IntVar(&c.HotShare, "hot.share", defaultHotShare, "percent of etcd's quota in use from which archived events leave etcd earlier")
	fs.DurationVar(&c.CompactInterval, "compact.interval", defaultCompactInterval,
		"pace at which etcd's history is compacted, by one collector, unless etcd does so itself; a negative one never does")
}

func (c Config) withDefaults() Config {
	c.RetentionDays = orDefault(c.RetentionDays, defaultRetentionDays)
	c.ArchiveInterval = orDefault(c.ArchiveInterval, defaultArchiveInterval)
	c.ArchiveRecords = orDefault(c.ArchiveRecords, defaultArchiveRecords)
	c.MergeEntries = orDefault(c.MergeEntries, defaultMergeEntries)
	c.KeepReplaced = orDefault(c.KeepReplaced, defaultKeepReplaced)
	c.HotWindow = orDefault(c.HotWindow, defaultHotWindow)
	c.HotShare = orDefault(c.HotShare, defaultHotShare)
	if c.CompactInterval == 0 {
		c.CompactInterval = defaultCompactInterval
	}
	c.CompactBytes = orDefault(c.CompactBytes, defaultCompactBytes)
	c.Grace = orDefault(c.Grace, defaultGrace)
	c.Pace = orDefault(c.Pace, defaultPace)
	c.Look = orDefault(c.Look, defaultLook)
	return c
}

func orDefault[T int | int64 | time.Duration](v, standard T) T {
	if v <= 0 {
		return standard
	}
	return v
}
