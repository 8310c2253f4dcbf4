package ingest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name must work where the system has none

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/dialect"
)

// parameters are what the query string says about an upload.
type parameters struct {
	wait    bool
	grammar *grammar // nil: detected
	zone    string   // as in options, spelled for events and answers
	options dialect.Options
}

var parameterNames = []string{"dialect", "host", "tz", "wait"}

// parseParameters refuses what it does not know by name, so that a misspelt parameter is not ignored.
func parseParameters(queries map[string]string, defaultZone string, now time.Time) (parameters, error) {
	p := parameters{options: dialect.Options{Now: now}}
	for name := range queries {
		if !slices.Contains(parameterNames, name) {
			return p, badParameter(name, "it is not known; known are %s", strings.Join(parameterNames, ", "))
		}
	}
	if text := queries["wait"]; text != "" {
		wait, err := strconv.ParseBool(text)
		if err != nil {
			return p, badParameter("wait", "%q is neither true nor false", text)
		}
		p.wait = wait
	}
	if name := queries["dialect"]; name != "" {
		all := grammars()
		i := slices.IndexFunc(all, func(g grammar) bool { return g.name == name })
		if i < 0 {
			return p, badParameter("dialect", "%q is not known; known are %s", name, grammarNames(all))
		}
		p.grammar = &all[i]
	}
	if host := queries["host"]; host != "" {
		if len(host) > 253 || strings.ContainsFunc(host, isControl) {
			return p, badParameter("host", "a host name has at most 253 characters and no control characters")
		}
		p.options.Host = host
	}
	p.zone = defaultZone
	if zone := queries["tz"]; zone != "" {
		p.zone = zone
	}
	zone, err := parseZone(p.zone)
	if err != nil {
		return p, badParameter("tz", "%v", err)
	}
	p.options.Zone = zone
	return p, nil
}

func badParameter(name, format string, args ...any) error {
	return refuse(fiber.StatusBadRequest, codeBadParameter, "query parameter %s: %s", name, fmt.Sprintf(format, args...))
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// parseZone reads an IANA name or ±hh:mm.
func parseZone(text string) (*time.Location, error) {
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
