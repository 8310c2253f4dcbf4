package watch

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Config says what is watched. The zero value of each field means its default.
type Config struct {
	Patterns string        // of file names, between commas; default *.csv,*.log,*.txt,*.prom
	Interval time.Duration // between looks at the directory, and least pause between shipments of a file; default 2s
	State    string        // file that remembers what is shipped; default .ingestd-watch.json in the directory
	Once     bool          // ship what is there, then end
}

const (
	defaultPatterns = "*.csv,*.log,*.txt,*.prom"
	defaultInterval = 2 * time.Second
	stateName       = ".ingestd-watch.json"
)

// Flags registers the settings.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Patterns, "pattern", defaultPatterns, "names of the files to ship, between commas")
	fs.DurationVar(&c.Interval, "every", defaultInterval, "how often the directory is looked at; a file's new lines go together in this time")
	fs.StringVar(&c.State, "state", "", "file that remembers what is shipped; "+stateName+" in the directory when not given")
	fs.BoolVar(&c.Once, "once", false, "ship what is there, then end")
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

// matches tells whether a file of this name is shipped. Hidden files never are.
func (c Config) matches(name string) bool {
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

func (c Config) check() error {
	for pattern := range strings.SplitSeq(c.Patterns, ",") {
		if _, err := filepath.Match(strings.TrimSpace(pattern), ""); err != nil {
			return fmt.Errorf("flag pattern: %q is no pattern of file names: %w", pattern, err)
		}
	}
	return nil
}
