package upload

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"telemetry-pipeline/events/caller"
)

// Config has the server's address and the parameters that describe the files. The zero value of each field means its
// default.
type Config struct {
	URL    string        // of the upload server; default http://localhost:8081
	Caller caller.Config // who sends, and which servers are trusted

	RetryFor time.Duration // how long a file is retried; default 5m; negative: one attempt
	Parallel int           // files sent at a time; default 2

	// Parameters of every upload; "" and false are not sent. The server's documentation describes them.
	Dialect, Host, Zone, Columns, Metric, At, Start, Interval, Exporter string
	Strict, DryRun, Wait, Async                                         bool
}

const (
	defaultURL      = "http://localhost:8081"
	defaultRetryFor = 5 * time.Minute
	defaultParallel = 2
)

// Flags registers the flags of every kind of upload.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "url", defaultURL, "address of the upload server")
	c.Caller.Flags(fs)
	fs.DurationVar(&c.RetryFor, "retry-for", defaultRetryFor, "how long a file is retried while the server cannot accept it; negative means one attempt")
	fs.StringVar(&c.Dialect, "dialect", "", "dialect of the files; detected from their content by default")
	fs.StringVar(&c.Host, "host", "", "host of readings without one")
	fs.StringVar(&c.Zone, "tz", "", "time zone of times without one: an IANA name or ±hh:mm")
	fs.StringVar(&c.Columns, "columns", "", "header of files without one: the argument of nvidia-smi --query-gpu")
	fs.StringVar(&c.Metric, "metric", "", "metric of readings whose file does not name it")
	fs.StringVar(&c.Exporter, "exporter-version", "", "version of dcgm-exporter that wrote the files, where their units depend on it")
}

// fileFlags registers the flags that apply only to whole files.
func (c *Config) fileFlags(fs *flag.FlagSet) {
	fs.IntVar(&c.Parallel, "parallel", defaultParallel, "files sent at a time")
	fs.StringVar(&c.At, "ts", "", "time of readings without one, such as in a scrape")
	fs.StringVar(&c.Start, "start", "", "time of the first sample of files without times, such as the output of dmon")
	fs.StringVar(&c.Interval, "interval", "", "time between the samples of files without times; default 1s")
	fs.BoolVar(&c.Strict, "strict", false, "refuse a whole file if one of its rows is bad")
	fs.BoolVar(&c.DryRun, "dry-run", false, "check files and print the same results without storing them")
	fs.BoolVar(&c.Wait, "wait", false, "wait until everything stored is visible to queries")
	fs.BoolVar(&c.Async, "async", false, "let the server process files in the background, and wait for the results")
}

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = defaultURL
	}
	if c.RetryFor == 0 {
		c.RetryFor = defaultRetryFor
	}
	if c.Parallel == 0 {
		c.Parallel = defaultParallel
	}
	return c
}

// serverURL parses the URL. A path that ends in the upload path loses it.
func (c Config) serverURL() (*url.URL, error) {
	text := c.URL
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("flag url: %q is not a server address; use one such as %s", c.URL, defaultURL)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), uploadPath)
	if c.Parallel < 1 {
		return nil, errors.New("flag parallel: at least one file is sent at a time")
	}
	return u, nil
}

// queryValues returns the query parameters of an upload.
func (c Config) queryValues() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"dialect": c.Dialect, "host": c.Host, "tz": c.Zone, "columns": c.Columns, "metric": c.Metric, "ts": c.At,
		"start": c.Start, "interval": c.Interval, "exporter_version": c.Exporter,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]bool{"strict": c.Strict, "dry_run": c.DryRun, "wait": c.Wait, "async": c.Async} {
		if value {
			q.Set(name, strconv.FormatBool(value))
		}
	}
	return q
}
