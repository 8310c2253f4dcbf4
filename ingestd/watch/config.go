package watch

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Config selects the files to watch. The zero value of each field means its default.
type Config struct {
	Patterns string        // of file names, comma-separated; default *.csv,*.log,*.txt,*.prom
	Interval time.Duration // between scans of the directory, and least pause between shipments of a file; default 2s
	State    string        // file with the watcher's progress; default .ingestd-watch.json in the directory
	Once     bool          // ship the present content, then end
}

const (
	defaultPatterns = "*.csv,*.log,*.txt,*.prom"
	defaultInterval = 2 * time.Second
	stateName       = ".ingestd-watch.json"
)

// Flags registers the watcher's flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Patterns, "pattern", defaultPatterns, "names of the files to ship, comma-separated")
	fs.DurationVar(&c.Interval, "every", defaultInterval, "how often the directory is scanned; a file's new lines are collected for this time")
	fs.StringVar(&c.State, "state", "", "file that records the shipped part of each file; default "+stateName+" in the directory")
	fs.BoolVar(&c.Once, "once", false, "ship the present content, then end")
}

func (c Config) withDefaults(dir string) Config {
	if c.Patterns == "" {
		c.Patterns = defaultPatterns
	}
	if c.Interval <= 0 {
		c.Interval = defaultInterval
	}
	if c.State == "" {
		c.State = filepath.Join(dir, stateName)
	}
	return c
}

// matchesName reports whether a file of this name is shipped. Hidden files never are.
func (c Config) matchesName(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	for pattern := range strings.SplitSeq(c.Patterns, ",") {
		if ok, _ := filepath.Match(strings.TrimSpace(pattern), name); ok {
			return true
		}
	}
	return false
}

func (c Config) checkPatterns() error {
	for pattern := range strings.SplitSeq(c.Patterns, ",") {
		if _, err := filepath.Match(strings.TrimSpace(pattern), ""); err != nil {
			return fmt.Errorf("flag pattern: %q is not a pattern of file names: %w", pattern, err)
		}
	}
	return nil
}
