package upload

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Config says where uploads go and what is said about the files. The zero value of each field means its
// default.
type Config struct {
	URL   string // of the upload server, default http://localhost:8081
	Token string // sent as a bearer token; "": none

	RetryFor time.Duration // how long a file is tried again, default 5m; negative: one attempt
	Parallel int           // files under way at a time, default 2

	// What the server is told about every file; "" and false: nothing. See its documentation.
	Dialect, Host, Zone, Columns, Metric, At, Start, Interval, Exporter string
	Strict, DryRun, Wait, Async                                         bool
}

const (
	defaultURL      = "http://localhost:8081"
	defaultRetryFor = 5 * time.Minute
	defaultParallel = 2
)

// Flags registers the settings that every way of uploading has.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "url", defaultURL, "address of the upload server")
	fs.StringVar(&c.Token, "token", "", "bearer token to send")
	fs.DurationVar(&c.RetryFor, "retry-for", defaultRetryFor, "how long a file is tried again while the server cannot take it; negative means one attempt")
	fs.StringVar(&c.Dialect, "dialect", "", "dialect of the files; found from their content when not given")
	fs.StringVar(&c.Host, "host", "", "host of readings that name none")
	fs.StringVar(&c.Zone, "tz", "", "time zone of times that name none: an IANA name or ±hh:mm")
	fs.StringVar(&c.Columns, "columns", "", "header of files without one: the string that was given to nvidia-smi --query-gpu")
	fs.StringVar(&c.Metric, "metric", "", "metric of readings whose file does not name it")
	fs.StringVar(&c.Exporter, "exporter-version", "", "version of dcgm-exporter that wrote the files, where their units depend on it")
}

// fileFlags registers what can be said only about whole files.
func (c *Config) fileFlags(fs *flag.FlagSet) {
	fs.IntVar(&c.Parallel, "parallel", defaultParallel, "files under way at a time")
	fs.StringVar(&c.At, "ts", "", "time of readings that name none, such as those of a scrape")
	fs.StringVar(&c.Start, "start", "", "time of the first sample of files without times, such as those of dmon")
	fs.StringVar(&c.Interval, "interval", "", "time between the samples of files without times; 1s when not given")
	fs.BoolVar(&c.Strict, "strict", false, "have a file refused as a whole when one of its rows is bad")
	fs.BoolVar(&c.DryRun, "dry-run", false, "have files checked and answered as if they were stored, and not stored")
	fs.BoolVar(&c.Wait, "wait", false, "wait until everything stored is visible to queries")
	fs.BoolVar(&c.Async, "async", false, "hand files over, and follow their processing")
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

// server reads the URL. One without a path gets the server's own.
func (c Config) server() (*url.URL, error) {
	text := c.URL
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("flag url: %q is no address of a server; give one such as %s", c.URL, defaultURL)
	}
	if strings.ContainsFunc(c.Token, unicode.IsControl) {
		return nil, errors.New("flag token: it has a line break or another control character in it or behind it; give the token alone")
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), uploadPath)
	if c.Parallel < 1 {
		return nil, errors.New("flag parallel: at least one file is under way at a time")
	}
	return u, nil
}

// query is what the server is told about a file.
func (c Config) query() url.Values {
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
