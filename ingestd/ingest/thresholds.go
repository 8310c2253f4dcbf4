package ingest

import (
	"cmp"
	"flag"
	"fmt"
	"time"
)

// Thresholds are the readings at which uploads are slowed down (soft) and refused (hard). The zero value of each
// field means its default. A threshold that can never be reached disables its criterion: 1000 percent, a year.
//
// Size is the part of the quota that etcd has in use. Space that compaction freed does not count, since etcd fills it
// again. But etcd compares the file itself with its quota, so the file has a hard threshold of its own.
type Thresholds struct {
	SoftSize, HardSize       int           // percent of etcd's quota in use; default 60 and 80
	HardFile                 int           // percent of the quota that the database file may take; default 95
	SoftLag, HardLag         time.Duration // age of the oldest append that is not folded; default 1m and 10m
	SoftLatency, HardLatency time.Duration // of an append, averaged over seconds; default 2s and 10s
	SoftRate, HardRate       int           // records appended per second by this process; default: no bound
}

func (m *Thresholds) registerFlags(fs *flag.FlagSet) {
	d := m.withDefaults()
	fs.IntVar(&m.SoftSize, "ingest.soft-size", d.SoftSize, "percent of etcd's quota in use from which uploads are slowed down")
	fs.IntVar(&m.HardSize, "ingest.hard-size", d.HardSize, "percent of etcd's quota in use from which uploads are refused")
	fs.IntVar(&m.HardFile, "ingest.hard-file", d.HardFile,
		"percent of etcd's quota that its database file may take, free space included, before uploads are refused")
	fs.DurationVar(&m.SoftLag, "ingest.soft-lag", d.SoftLag, "age of the oldest append not yet folded from which uploads are slowed down")
	fs.DurationVar(&m.HardLag, "ingest.hard-lag", d.HardLag, "age of the oldest append not yet folded from which uploads are refused")
	fs.DurationVar(&m.SoftLatency, "ingest.soft-latency", d.SoftLatency, "average time of an append from which uploads are slowed down")
	fs.DurationVar(&m.HardLatency, "ingest.hard-latency", d.HardLatency, "average time of an append from which new uploads are refused")
	fs.IntVar(&m.SoftRate, "ingest.soft-rate", m.SoftRate,
		"records per second, appended by this process, from which uploads are slowed down; 0 means no bound")
	fs.IntVar(&m.HardRate, "ingest.hard-rate", m.HardRate,
		"records per second, appended by this process, from which new uploads are refused with 429; 0 means no bound")
}

func (m Thresholds) withDefaults() Thresholds {
	m.SoftSize, m.HardSize = cmp.Or(m.SoftSize, 60), cmp.Or(m.HardSize, 80)
	m.HardFile = cmp.Or(m.HardFile, 95)
	m.SoftLag, m.HardLag = cmp.Or(m.SoftLag, time.Minute), cmp.Or(m.HardLag, 10*time.Minute)
	m.SoftLatency, m.HardLatency = cmp.Or(m.SoftLatency, 2*time.Second), cmp.Or(m.HardLatency, 10*time.Second)
	return m
}

// checkFlags refuses thresholds that make no sense, by the name of the flag.
func (m Thresholds) checkFlags() error {
	for _, pair := range []struct {
		name       string
		soft, hard int64
	}{
		{"size", int64(m.SoftSize), int64(m.HardSize)},
		{"file", int64(m.HardFile), int64(m.HardFile)},
		{"lag", int64(m.SoftLag), int64(m.HardLag)},
		{"latency", int64(m.SoftLatency), int64(m.HardLatency)},
		{"rate", int64(m.SoftRate), int64(m.HardRate)},
	} {
		if pair.soft < 0 || pair.hard < 0 {
			return fmt.Errorf("flags ingest.soft-%s and ingest.hard-%s: a threshold must be positive", pair.name, pair.name)
		}
		if pair.hard > 0 && pair.soft > pair.hard {
			return fmt.Errorf("flag ingest.soft-%s is above ingest.hard-%s; uploads are slowed down before they are refused", pair.name, pair.name)
		}
	}
	return nil
}

// threshold is a soft and a hard bound of one reading; a bound of 0 is not there.
type threshold struct{ soft, hard float64 }

// pressureOf returns how far a reading is on the way from the soft threshold, 0, to the hard one, 1. Without a hard
// threshold it comes to 1 at twice the soft one.
func (s threshold) pressureOf(v float64) float64 {
	soft, hard := s.soft, s.hard
	if soft == 0 {
		soft = hard
	}
	if hard == 0 {
		hard = 2 * soft
	}
	switch {
	case soft == 0 || v < soft:
		return 0
	case v >= hard:
		return 1
	}
	return (v - soft) / (hard - soft)
}

// isReached reports whether a reading has reached the hard threshold.
func (s threshold) isReached(v float64) bool { return s.hard > 0 && v >= s.hard }
