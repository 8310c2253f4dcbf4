package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// gpuSize is the approximate number of JSON bytes of a GPU.
const gpuSize = 2048

// serveGPUs answers GET /api/v1/gpus.
func (a *API) serveGPUs(c *fiber.Ctx) error {
	p, err := readParams(c, "host_id", "status", "limit", "as_of", "wait")
	if err != nil {
		return err
	}
	hosts, err := p.parseHosts()
	if err != nil {
		return err
	}
	s, err := a.loadView(c.UserContext(), p, onlyHosts(hosts))
	if err != nil {
		return err
	}
	gpus := s.GPUs()
	if len(hosts) > 0 {
		gpus = onHosts(gpus, hosts)
	}
	return a.answerGPUs(c, p, s, gpus)
}

// serveHostGPUs answers GET /api/v1/hosts/{hostname}/gpus.
func (a *API) serveHostGPUs(c *fiber.Ctx) error {
	p, err := readParams(c, "status", "limit", "as_of", "wait")
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
	return a.answerGPUs(c, p, s, host.GPUs)
}

// serveGPU answers GET /api/v1/gpus/{id}.
func (a *API) serveGPU(c *fiber.Ctx) error {
	p, err := readParams(c, "as_of", "wait")
	if err != nil {
		return err
	}
	s, err := a.loadView(c.UserContext(), p, pathGPU(c))
	if err != nil {
		return err
	}
	g, err := findGPU(c, s.State)
	if err != nil {
		return err
	}
	w := a.beginAnswerAt(s, gpuSize)
	a.writeGPU(w, g, s.gpuStatus(g))
	return w.finishAnswer(c, 1)
}

// answerGPUs filters by status, cuts to the limit and answers.
func (a *API) answerGPUs(c *fiber.Ctx, p params, s *timedView, gpus []*projections.GPU) error {
	limit, err := p.parseLimit(history.MaxLimit, whole)
	if err != nil {
		return err
	}
	wanted, err := p.parseStatuses()
	if err != nil {
		return err
	}
	w := a.beginAnswerAt(s, gpuSize*min(limit, len(gpus)))
	w.Open('[')
	out := gpuList{api: a, w: w, limit: limit, wanted: wanted}
	out.addGPUs(s, gpus)
	w.Close(']')
	return w.finishList(c, out.count, out.total)
}

// gpuList writes GPUs up to the limit and counts all of them.
type gpuList struct {
	api          *API
	w            *writer
	limit        int
	wanted       []projections.Status // empty: all
	count, total int
}

// addGPUs writes GPUs of a view.
func (l *gpuList) addGPUs(s *timedView, gpus []*projections.GPU) {
	for _, g := range gpus {
		now := s.gpuStatus(g)
		if len(l.wanted) > 0 && !slices.Contains(l.wanted, now) {
			continue
		}
		if l.total++; l.count < l.limit {
			l.count++
			l.api.writeGPU(l.w, g, now)
		}
	}
}

// writeGPU writes one GPU.
func (a *API) writeGPU(w *writer, g *projections.GPU, status projections.Status) {
	w.openItem()
	w.Text("id", string(g.ID))
	w.writeIdentity(g.Host, &g.Identity)
	if len(g.Hosts) > 1 {
		w.writeHostNames("hosts", g.Hosts)
	}
	if len(g.Conflict) > 0 {
		w.writeHostNames("conflict_hosts", g.Conflict)
	}
	w.Text("status", string(status))
	w.Time("first_seen", g.FirstSeen)
	w.Time("last_seen", g.LastSeen)
	w.writeReadings(a.names, g.Latest, true)
	if len(g.Parts) > 0 {
		w.Key("parts")
		w.Open('[')
		for i := range g.Parts {
			a.writePart(w, g, &g.Parts[i])
		}
		w.Close(']')
	}
	w.Close('}')
}

func (w *writer) writeHostNames(key string, hosts []events.HostID) {
	w.Key(key)
	w.Open('[')
	for _, h := range hosts {
		w.StringValue(string(h))
	}
	w.Close(']')
}

// writePart writes a part of a GPU that has readings of its own.
func (a *API) writePart(w *writer, g *projections.GPU, part *projections.Part) {
	w.Open('{')
	w.Text("part", part.Name)
	w.writeIdentity(g.Host, &part.Identity)
	w.Time("last_seen", part.LastSeen)
	w.writeReadings(a.names, part.Latest, true)
	w.Close('}')
}

// gpuStatus returns a GPU's status.
func (m *timedView) gpuStatus(g *projections.GPU) projections.Status {
	return projections.StatusOf(g.LastSeen, m.HostSeen(g.Host), m.now)
}

// parseStatuses parses the parameter status.
func (p params) parseStatuses() ([]projections.Status, error) {
	items, err := p.listValues("status", "active, stale or missing")
	if err != nil {
		return nil, err
	}
	var wanted []projections.Status
	for _, item := range items {
		switch status := projections.Status(item); status {
		case projections.Active, projections.Stale, projections.Missing:
			wanted = append(wanted, status)
		default:
			return nil, badParameter("status", item, "active, stale or missing")
		}
	}
	return wanted, nil
}

// onHosts returns the GPUs whose newest record is from one of the hosts.
func onHosts(gpus []*projections.GPU, hosts []events.HostID) []*projections.GPU {
	var out []*projections.GPU
	for _, g := range gpus {
		if slices.Contains(hosts, g.Host) {
			out = append(out, g)
		}
	}
	return out
}

// findGPU returns the GPU in the path.
func findGPU(c *fiber.Ctx, s *live.State) (*projections.GPU, error) {
	id, err := pathSegment(c, "id")
	if err != nil {
		return nil, err
	}
	if g, ok := s.GPU(events.GPUID(id)); ok {
		return g, nil
	}
	text := fmt.Sprintf("no GPU %q; give a UUID, host:index or host:pci-address, see /api/v1/gpus", id)
	if strings.Trim(id, "0123456789") == "" {
		text = fmt.Sprintf("no GPU %q; an index alone does not name one: give a UUID or host:%s", id, id)
	}
	return nil, &Error{Status: http.StatusNotFound, Code: UnknownGPU, Text: text}
}
