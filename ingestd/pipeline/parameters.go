package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name must work where the system has none

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/intake"
)

// Parameters are the wishes that the query string of an upload expresses, and its sender.
type Parameters struct {
	Sender  *Sender // nil: nobody in particular, who may send everything
	Wait    bool
	Async   bool             // answer at once, and take the files in in the background
	Strict  bool             // a file with a bad row is refused before anything of it is appended
	DryRun  bool             // append nothing
	Name    string           // of a file that is the body itself
	Grammar *dialect.Grammar // nil: detected
	Zone    string           // as in options, spelled for events and answers
	Options dialect.Options
}

// parameter is one that the query string may have. read takes its text, which is not empty; its error names
// the fault.
type parameter struct {
	name      string
	read      func(p *Parameters, text string) error
	bareValue string // the value of the name alone; empty: as if it were not there
}

// knownParameters returns the parameters in the order in which they are read: the meaning of times depends on tz.
func knownParameters() []parameter {
	return []parameter{
		boolParameter("wait", func(p *Parameters) *bool { return &p.Wait }),
		boolParameter("async", func(p *Parameters) *bool { return &p.Async }),
		boolParameter("strict", func(p *Parameters) *bool { return &p.Strict }),
		boolParameter("dry_run", func(p *Parameters) *bool { return &p.DryRun }),
		{name: "filename", read: func(p *Parameters, text string) error { p.Name = intake.BaseName(text); return nil }},
		{name: "dialect", read: (*Parameters).readDialect},
		{name: "host", read: (*Parameters).readHost},
		{name: "tz", read: func(p *Parameters, text string) (err error) {
			p.Zone = text
			p.Options.Zone, err = ParseZone(text)
			return err
		}},
		{name: "columns", read: (*Parameters).readColumns},
		{name: "metric", read: (*Parameters).readMetric},
		{name: "ts", read: func(p *Parameters, text string) (err error) {
			p.Options.At, err = readTime(p.Options, text)
			return err
		}},
		{name: "start", read: func(p *Parameters, text string) (err error) {
			p.Options.Start, err = readTime(p.Options, text)
			return err
		}},
		{name: "interval", read: (*Parameters).readInterval},
		{name: "exporter_version", read: (*Parameters).readExporter},
	}
}

// ParseParameters reads a query string. It refuses an unknown name, so that a misspelt parameter is not ignored.
func ParseParameters(queries map[string]string, defaultZone string, now time.Time) (Parameters, error) {
	p := Parameters{Options: dialect.Options{Now: now}, Zone: defaultZone}
	zone, err := ParseZone(defaultZone)
	if err != nil {
		return p, answer.BadParameter("tz", "%v", err)
	}
	p.Options.Zone = zone
	if len(queries) == 0 {
		return p, nil
	}
	known := knownParameters()
	for name := range queries {
		if !slices.ContainsFunc(known, func(k parameter) bool { return k.name == name }) {
			return p, answer.BadParameter(name, "it is not known; known are %s", parameterNames(known))
		}
	}
	for _, k := range known {
		text, given := queries[k.name]
		if given && text == "" {
			text = k.bareValue
		}
		if text != "" {
			if err := k.read(&p, strings.Clone(text)); err != nil { // the server uses a request's memory again
				return p, answer.BadParameter(k.name, "%v", err)
			}
		}
	}
	return p, nil
}

func parameterNames(all []parameter) string {
	names := make([]string, len(all))
	for i, k := range all {
		names[i] = k.name
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// boolParameter returns a parameter that is true or false; ?name means ?name=true, as its writer expects.
func boolParameter(name string, of func(*Parameters) *bool) parameter {
	return parameter{name, func(p *Parameters, text string) error {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*of(p) = on
		return nil
	}, "true"}
}

func (p *Parameters) readDialect(name string) error {
	all := Grammars()
	i := slices.IndexFunc(all, func(g dialect.Grammar) bool { return g.Name == name })
	if i < 0 {
		return fmt.Errorf("%q is not known; known are %s", name, grammarNames(all))
	}
	p.Grammar = &all[i]
	return nil
}

func (p *Parameters) readHost(host string) error {
	if len(host) > 253 || strings.ContainsFunc(host, intake.IsControl) {
		return errors.New("a host name has at most 253 characters and no control characters")
	}
	p.Options.Host = host
	return nil
}

// maxColumns bounds the columns that a sender can name.
const maxColumns = 4096

func (p *Parameters) readColumns(text string) error {
	columns := dialect.SplitColumns(text)
	switch {
	case len(columns) > maxColumns:
		return fmt.Errorf("it names %d columns; a file has at most %d", len(columns), maxColumns)
	case slices.Contains(columns, ""):
		return errors.New("a column between two commas has no name; give the text that --query-gpu was given, such as index,utilization.gpu")
	}
	p.Options.Columns = columns
	return nil
}

func (p *Parameters) readMetric(name string) error {
	name = strings.TrimSpace(name)
	if why := dialect.NameFault([]byte(name)); why != "" {
		return errors.New(why)
	}
	p.Options.Metric = name
	return nil
}

// readTime reads an instant that names its own zone: the parameters with times have no other.
func readTime(opt dialect.Options, text string) (time.Time, error) {
	at, err := dialect.NewClock(opt).Read([]byte(text))
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q: %w (a + in an address is written %%2B)", text, err)
	case at.ZoneAssumed:
		return time.Time{}, fmt.Errorf("%q names no zone; write it as 2025-07-18T20:42:34Z or in epoch seconds", text)
	}
	return at.At.Time(), nil
}

func (p *Parameters) readInterval(text string) error {
	interval, err := time.ParseDuration(text)
	if err != nil || interval <= 0 {
		return fmt.Errorf("%q is no span of time; write it as 1s, 500ms or 1m30s", text)
	}
	p.Options.Interval = interval
	return nil
}

func (p *Parameters) readExporter(version string) error {
	if err := dialect.CheckExporter(version); err != nil {
		return err
	}
	p.Options.Exporter = version
	return nil
}

// ParseZone reads a time zone: an IANA name or ±hh:mm.
func ParseZone(text string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", text); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(text, offset), nil
	}
	if text == "" || text == "Local" {
		return nil, fmt.Errorf("%q is no time zone; give an IANA name such as Europe/Berlin, or an offset such as +02:00", text)
	}
	zone, err := time.LoadLocation(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no known time zone; give an IANA name such as Europe/Berlin, or an offset such as +02:00", text)
	}
	return zone, nil
}
