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
	whole    = math.MaxInt // limit of a list without a limit
	hostSize = 640         // approximate JSON bytes of a host
)

// serveHosts answers GET /api/v1/hosts.
func (a *API) serveHosts(c *fiber.Ctx) error {
	p, err := readParams(c, "status", "limit", "as_of", "wait")
	if err != nil {
		return err
	}
	limit, err := p.parseLimit(history.MaxLimit, whole)
	if err != nil {
		return err
	}
	wanted, err := p.parseStatuses()
	if err != nil {
		return err
	}
	s, err := a.loadView(c.UserContext(), p, allHosts)
	if err != nil {
		return err
	}
	w := a.beginAnswerAt(s, hostSize*s.CountHosts())
	w.Open('[')
	out := hostList{w: w, limit: limit, wanted: wanted}
	out.addHosts(s)
	w.Close(']')
	return w.finishList(c, out.count, out.total)
}

// hostList writes hosts up to the limit and counts all of them.
type hostList struct {
	w            *writer
	limit        int
	wanted       []projections.Status // empty: all
	count, total int
}

// addHosts writes the hosts of a view.
func (l *hostList) addHosts(s *timedView) {
	w, now := l.w, s.now
	for _, host := range s.Hosts() {
		if len(l.wanted) > 0 && !slices.Contains(l.wanted, hostStatus(host, now)) {
			continue
		}
		if l.total++; l.count < l.limit {
			l.count++
			w.openItem()
			w.writeHost(host, now)
			w.Close('}')
		}
	}
}

// serveHost answers GET /api/v1/hosts/{hostname}.
func (a *API) serveHost(c *fiber.Ctx) error {
	p, err := readParams(c, "as_of", "wait")
	if err != nil {
		return err
	}
	s, err := a.loadView(c.UserContext(), p, pathHost(c))
	if err != nil {
		return err
	}
	host, err := findHost(c, s)
	if err != nil {
		return err
	}
	w := a.beginAnswerAt(s, hostSize)
	w.openItem()
	w.writeHost(host, s.now)
	w.Key("gpu_ids")
	w.Open('[')
	for _, g := range host.GPUs {
		w.StringValue(string(g.ID))
	}
	w.Close(']')
	w.Close('}')
	return w.finishAnswer(c, 1)
}

// finishList ends a list. If a limit has cut it, the answer has the total too.
func (w *writer) finishList(c *fiber.Ctx, count, total int) error {
	if total > count {
		w.Whole("total", int64(total))
	}
	return w.finishAnswer(c, count)
}

func hostStatus(host *live.Host, now events.Timestamp) projections.Status {
	return projections.StatusOf(host.LastSeen, host.LastSeen, now)
}

// writeHost writes the members of one host.
func (w *writer) writeHost(host *live.Host, now events.Timestamp) {
	w.Text("hostname", string(host.ID))
	w.Text("host_id", string(host.ID))
	w.Text("status", string(hostStatus(host, now)))
	w.Time("first_seen", host.FirstSeen)
	w.Time("last_seen", host.LastSeen)
	w.writeTotals(projections.Sum(host.GPUs, func(events.HostID) events.Timestamp { return host.LastSeen }, now))
	w.writeCounts("models", "model_name", host.GPUs, func(g *projections.GPU) string { return g.Identity.Model })
	w.writeCounts("drivers", "driver_version", host.GPUs, func(g *projections.GPU) string { return g.Identity.Driver })
}

// writeTotals writes the members that sum up a set of GPUs.
func (w *writer) writeTotals(t projections.Totals) {
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

// writeCounts writes the number of GPUs for each value of a property, sorted by value, without GPUs that lack the
// property. Each GPU counts once, as in projections.Sum.
func (w *writer) writeCounts(list, member string, gpus []*projections.GPU, of func(*projections.GPU) string) {
	count := make(map[string]int)
	for g := range projections.Distinct(gpus) {
		if v := of(g); v != "" {
			count[v]++
		}
	}
	w.Key(list)
	w.Open('[')
	for _, v := range slices.Sorted(maps.Keys(count)) {
		w.writeCount(member, v, count[v])
	}
	w.Close(']')
}

func (w *writer) writeCount(member, name string, gpus int) {
	w.Open('{')
	w.Text(member, name)
	w.Whole("gpus", int64(gpus))
	w.Close('}')
}

// findHost returns the host in the path.
func findHost(c *fiber.Ctx, s *timedView) (*live.Host, error) {
	id, err := pathSegment(c, "hostname")
	if err != nil {
		return nil, err
	}
	if host, ok := s.Host(events.HostID(id)); ok {
		return host, nil
	}
	return nil, &Error{Status: http.StatusNotFound, Code: UnknownHost, Text: fmt.Sprintf("no host %q%s; see /api/v1/hosts", id, s.asOfSuffix())}
}
