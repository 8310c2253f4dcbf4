package rest

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

const (
	whole    = math.MaxInt // what a list's limit is without one
	hostSize = 640         // about how many bytes the JSON of a host takes
)

// hosts answers GET /api/v1/hosts.
func (a *API) hosts(c *fiber.Ctx) error {
	p, err := parameters(c, "status", "limit", "as_of", "wait")
	if err != nil {
		return err
	}
	limit, err := p.limit(history.MaxLimit, whole)
	if err != nil {
		return err
	}
	wanted, err := p.statuses()
	if err != nil {
		return err
	}
	s, err := a.moment(c, p, everywhere)
	if err != nil {
		return err
	}
	w := a.beginAt(s, hostSize*len(s.Hosts()))
	w.Open('[')
	count, total, now := 0, 0, s.now
	for _, host := range s.Hosts() {
		if len(wanted) > 0 && !slices.Contains(wanted, hostStatus(host, now)) {
			continue
		}
		if total++; count < limit {
			count++
			w.Open('{')
			w.host(host, now)
			w.Close('}')
		}
	}
	w.Close(']')
	return w.finishList(c, count, total)
}

// host answers GET /api/v1/hosts/{hostname}.
func (a *API) host(c *fiber.Ctx) error {
	p, err := parameters(c, "as_of", "wait")
	if err != nil {
		return err
	}
	s, err := a.moment(c, p, pathHost(c))
	if err != nil {
		return err
	}
	host, err := findHost(c, s)
	if err != nil {
		return err
	}
	w := a.beginAt(s, hostSize)
	w.Open('{')
	w.host(host, s.now)
	w.Key("gpu_ids")
	w.Open('[')
	for _, g := range host.GPUs {
		w.Str(string(g.ID))
	}
	w.Close(']')
	w.Close('}')
	return w.finish(c, 1)
}

// finishList ends a list that a limit may have cut, in which case it tells how long the whole is.
func (w *writer) finishList(c *fiber.Ctx, count, total int) error {
	if total > count {
		w.Whole("total", int64(total))
	}
	return w.finish(c, count)
}

func hostStatus(host *live.Host, now events.Timestamp) projections.Status {
	return projections.StatusOf(host.LastSeen, host.LastSeen, now)
}

// host writes the members of one host.
func (w *writer) host(host *live.Host, now events.Timestamp) {
	w.Text("hostname", string(host.ID))
	w.Text("host_id", string(host.ID))
	w.Text("status", string(hostStatus(host, now)))
	w.Time("first_seen", host.FirstSeen)
	w.Time("last_seen", host.LastSeen)
	w.totals(projections.Sum(host.GPUs, func(events.HostID) events.Timestamp { return host.LastSeen }, now))
	w.counts("models", "model_name", host.GPUs, func(g *projections.GPU) string { return g.Identity.Model })
	w.counts("drivers", "driver_version", host.GPUs, func(g *projections.GPU) string { return g.Identity.Driver })
}

// totals writes the members that sum up a set of GPUs.
func (w *writer) totals(t projections.Totals) {
	w.Whole("gpu_count", int64(t.GPUs))
	w.Key("gpu_status")
	w.Open('{')
	w.Whole(string(projections.Active), int64(t.Active))
	w.Whole(string(projections.Stale), int64(t.Stale))
	w.Whole(string(projections.Missing), int64(t.Missing))
	w.Close('}')
	w.Key("totals")
	w.Open('{')
	w.Float("gpu_utilization_avg", t.UtilizationAvg)
	w.Float("memory_used_mb", t.MemoryUsedMiB)
	w.Float("memory_free_mb", t.MemoryFreeMiB)
	w.Float("power_draw", t.PowerWatts)
	w.Float("temperature_max", t.TemperatureMax)
	w.Close('}')
}

// counts writes how many GPUs have which value of something, sorted by value; those that said nothing are
// left out.
func (w *writer) counts(list, member string, gpus []*projections.GPU, of func(*projections.GPU) string) {
	count := make(map[string]int)
	for _, g := range gpus {
		if v := of(g); v != "" {
			count[v]++
		}
	}
	w.Key(list)
	w.Open('[')
	for _, v := range slices.Sorted(maps.Keys(count)) {
		w.Open('{')
		w.Text(member, v)
		w.Whole("gpus", int64(count[v]))
		w.Close('}')
	}
	w.Close(']')
}

// findHost finds the host that the path names.
func findHost(c *fiber.Ctx, s *moment) (*live.Host, error) {
	id, err := segment(c, "hostname")
	if err != nil {
		return nil, err
	}
	if host, ok := s.Host(events.HostID(id)); ok {
		return host, nil
	}
	return nil, &Error{Status: http.StatusNotFound, Code: UnknownHost, Text: fmt.Sprintf("no host %q%s; see /api/v1/hosts", id, s.then())}
}

// hostCounts writes how many hosts have which status.
func (w *writer) hostCounts(hosts []*live.Host, now events.Timestamp) {
	count := make(map[projections.Status]int64)
	for _, host := range hosts {
		count[hostStatus(host, now)]++
	}
	w.Key("host_status")
	w.Open('{')
	w.Whole(string(projections.Active), count[projections.Active])
	w.Whole(string(projections.Stale), count[projections.Stale])
	w.Close('}')
}
