package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/queryd/history"
)

// params are a request's query parameters.
type params map[string][]string

// maxItems bounds the number of values of a repeated parameter.
const maxItems = 1000

// isRepeatable reports whether a parameter may occur more than once, or hold several values with commas.
func isRepeatable(name string) bool {
	return slices.Contains([]string{"host_id", "gpu_id", "metric", "status", "agg", "upload_id"}, name)
}

// readParams reads the query string and refuses unknown names.
func readParams(c *fiber.Ctx, known ...string) (params, error) {
	p := make(params)
	for key, value := range c.Context().QueryArgs().All() {
		name := string(key)
		if !slices.Contains(known, name) {
			text := fmt.Sprintf("unknown parameter %q; there are: %s", name, strings.Join(known, ", "))
			return nil, &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: text}
		}
		if len(p[name]) > 0 && !isRepeatable(name) {
			return nil, badParameter(name, string(value), "one value only, and was given twice")
		}
		p[name] = append(p[name], string(value))
	}
	return p, nil
}

// singleValue returns the value of a parameter that may occur once.
func (p params) singleValue(name string) (value string, given bool) {
	if len(p[name]) == 0 {
		return "", false
	}
	return p[name][0], true
}

// listValues returns all values of a repeated parameter; takes describes a valid value.
func (p params) listValues(name, takes string) ([]string, error) {
	var items []string
	for _, value := range p[name] {
		for item := range strings.SplitSeq(value, ",") {
			if item == "" {
				return nil, badParameter(name, value, takes+"; leave it out to ask for everything")
			}
			items = append(items, item)
		}
	}
	if len(items) > maxItems {
		return nil, badParameter(name, "…", fmt.Sprintf("at most %d values", maxItems))
	}
	return items, nil
}

// parseLimit returns the limit, or otherwise if there is none.
func (p params) parseLimit(most, otherwise int) (int, error) {
	text, given := p.singleValue("limit")
	if !given {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badParameter("limit", text, fmt.Sprintf("a whole number from 1 to %d", most))
	}
	return n, nil
}

// parseHosts returns the hosts of host_id.
func (p params) parseHosts() ([]events.HostID, error) {
	items, err := p.listValues("host_id", "host names")
	if err != nil {
		return nil, err
	}
	hosts := make([]events.HostID, len(items))
	for i, item := range items {
		hosts[i] = events.HostID(item)
	}
	return hosts, nil
}

// parseGPUs returns the GPUs of gpu_id. An index or PCI address alone belongs to the given hosts.
func (p params) parseGPUs(hosts []events.HostID) ([]events.GPUID, error) {
	const takes = "a UUID, host:index, host:pci-address, or an index or address together with host_id"
	items, err := p.listValues("gpu_id", takes)
	if err != nil {
		return nil, err
	}
	var gpus []events.GPUID
	for _, item := range items {
		_, address := events.CanonicalPCI(item)
		if strings.Trim(item, "0123456789") != "" && !(address && len(hosts) > 0) {
			gpus = append(gpus, events.GPUID(item))
			continue
		}
		if len(hosts) == 0 {
			return nil, badParameter("gpu_id", item, takes)
		}
		for _, host := range hosts {
			gpus = append(gpus, events.GPUID(string(host)+":"+item))
		}
	}
	return gpus, nil
}

// parseMetrics returns the canonical names of metric; it accepts every name that a source may use for a metric.
func (p params) parseMetrics() ([]string, error) {
	items, err := p.listValues("metric", "metric names such as DCGM_FI_DEV_GPU_UTIL or gpu_utilization")
	if err != nil {
		return nil, err
	}
	for i, item := range items {
		items[i] = CanonicalMetric(item)
	}
	return items, nil
}

// CanonicalMetric returns the canonical name of a metric; a metric outside the catalogue keeps its name.
func CanonicalMetric(name string) string {
	m, _, _ := metric.Lookup(name)
	return m.Name
}

// parseRange sets the time range of a history query.
func (a *API) parseRange(p params, q *history.Query) error {
	now := a.now()
	for name, to := range map[string]struct {
		at  *events.Timestamp
		has *bool
	}{"start_time": {&q.From, &q.HasFrom}, "end_time": {&q.To, &q.HasTo}} {
		text, given := p.singleValue(name)
		if !given {
			continue
		}
		at, relative, err := history.ParseTime(text, now)
		if err != nil {
			return badParameter(name, text, history.TimeSyntax)
		}
		*to.at, *to.has, q.Moving = at, true, q.Moving || relative
	}
	if q.HasFrom && q.HasTo && q.From > q.To {
		start, _ := p.singleValue("start_time")
		return badParameter("start_time", start, "a time that is not after end_time")
	}
	return nil
}

// parseOrder reports whether the oldest entries come first.
func (p params) parseOrder() (bool, error) {
	switch order, given := p.singleValue("order"); {
	case !given || order == "desc":
		return false, nil
	case order == "asc":
		return true, nil
	default:
		return false, badParameter("order", order, "asc (oldest first) or desc (newest first)")
	}
}

// pathSegment returns a part of the path, unescaped.
func pathSegment(c *fiber.Ctx, name string) (string, error) {
	raw := c.Params(name)
	text, err := url.PathUnescape(raw)
	if err != nil {
		return "", &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: fmt.Sprintf("path segment %q is not properly percent-encoded", raw)}
	}
	return text, nil
}
