package rest

import (
	"slices"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// serveLatest answers GET /api/v1/telemetry/latest: an entry per GPU, and per part that has readings of its own.
func (a *API) serveLatest(c *fiber.Ctx) error {
	p, err := readParams(c, "host_id", "gpu_id", "metric", "limit", "as_of", "wait")
	if err != nil {
		return err
	}
	q, err := p.parseLatest()
	if err != nil {
		return err
	}
	s, err := a.loadView(c.UserContext(), p, hostsOrGPUs(q.hosts, q.gpus))
	if err != nil {
		return err
	}
	gpus := filterGPUs(s.State, q.hosts, q.gpus)
	w := a.beginAnswerAt(s, min(q.limit, len(gpus))*latestSize(len(q.metrics)))
	w.Open('[')
	out := latestList{api: a, w: w, limit: q.limit, metrics: q.metrics}
	out.addGPUs(gpus)
	w.Close(']')
	return w.finishList(c, out.count, out.total)
}

// latestQuery has the parameters of GET /api/v1/telemetry/latest that choose entries.
type latestQuery struct {
	limit   int
	metrics []string
	hosts   []events.HostID
	gpus    []events.GPUID
}

func (p params) parseLatest() (q latestQuery, err error) {
	if q.limit, err = p.parseLimit(history.MaxLimit, whole); err != nil {
		return q, err
	}
	if q.metrics, err = p.parseMetrics(); err != nil {
		return q, err
	}
	if q.hosts, err = p.parseHosts(); err != nil {
		return q, err
	}
	q.gpus, err = p.parseGPUs(q.hosts)
	return q, err
}

// latestSize returns the approximate number of JSON bytes of an entry.
func latestSize(metrics int) int {
	if metrics == 0 {
		return gpuSize
	}
	return 512 + 128*metrics
}

// filterGPUs returns the GPUs that pass a filter, in the order of the view.
func filterGPUs(s *live.State, hosts []events.HostID, ids []events.GPUID) []*projections.GPU {
	gpus := s.GPUs()
	if len(ids) > 0 {
		wanted := make(map[events.GPUID]bool, len(ids))
		for _, id := range ids {
			for _, g := range s.NamedGPUs(id) {
				wanted[g.ID] = true
			}
		}
		gpus = slices.DeleteFunc(slices.Clone(gpus), func(g *projections.GPU) bool { return !wanted[g.ID] })
	}
	if len(hosts) > 0 {
		gpus = onHosts(gpus, hosts)
	}
	return gpus
}

// latestList writes entries up to the limit and counts all of them.
type latestList struct {
	api          *API
	w            *writer
	limit        int
	metrics      []string
	count, total int
	buf          []projections.Latest
}

// addGPUs writes the entries of GPUs and their parts.
func (l *latestList) addGPUs(gpus []*projections.GPU) {
	for _, g := range gpus {
		l.addEntry(g, "", &g.Identity, g.Latest)
		for i := range g.Parts {
			l.addEntry(g, g.Parts[i].Name, &g.Parts[i].Identity, g.Parts[i].Latest)
		}
	}
}

// addEntry writes an entity's entry, if it has one.
func (l *latestList) addEntry(g *projections.GPU, part string, id *events.Identity, latest []projections.Latest) {
	l.buf = joinLatest(l.buf[:0], latest, l.metrics)
	if len(l.buf) == 0 {
		return
	}
	if l.total++; l.count >= l.limit {
		return
	}
	l.count++
	newest, oldest := l.buf[0].At, l.buf[0].At
	for i := range l.buf {
		newest, oldest = max(newest, l.buf[i].At), min(oldest, l.buf[i].At)
	}
	w := l.w
	w.openItem()
	w.Time("timestamp", newest)
	w.Time("oldest_timestamp", oldest)
	w.writeEntity(g.Host, events.Entity{GPU: g.ID, Part: part}, id)
	w.writeReadings(l.api.names, l.buf, true)
	w.Close('}')
}

// joinLatest appends the readings of the wanted metrics that are at most projections.JoinTolerance older than the
// newest of them.
func joinLatest(dst, latest []projections.Latest, metrics []string) []projections.Latest {
	var newest events.Timestamp
	for i := range latest {
		if len(metrics) == 0 || slices.Contains(metrics, latest[i].Metric) {
			if len(dst) == 0 || latest[i].At > newest {
				newest = latest[i].At
			}
			dst = append(dst, latest[i])
		}
	}
	return slices.DeleteFunc(dst, func(l projections.Latest) bool { return l.At < newest-events.Timestamp(projections.JoinTolerance) })
}
