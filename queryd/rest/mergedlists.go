package rest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// Lists over several clusters are sorted by the name of the cluster, and within one as in the list of that cluster.

// mergeHosts answers GET /api/v1/hosts over several clusters.
func (g *Gateway) mergeHosts(c *fiber.Ctx) error {
	p, limit, wanted, err := g.listParams(c, "status", "limit", "as_of", "wait")
	if err != nil {
		return err
	}
	views, d, err := g.loadViews(c, p, allHosts)
	if err != nil {
		return err
	}
	hosts := 0
	for _, v := range views {
		hosts += v.CountHosts()
	}
	w := g.beginMerged(c, views, d, hostSize*min(limit, hosts))
	w.Open('[')
	out := hostList{w: w, limit: limit, wanted: wanted}
	for _, v := range views {
		w.cluster = v.Name
		out.addHosts(v.timedView)
	}
	w.Close(']')
	return w.finishList(c, out.count, out.total)
}

// mergeGPUs answers GET /api/v1/gpus over several clusters.
func (g *Gateway) mergeGPUs(c *fiber.Ctx) error {
	p, limit, wanted, err := g.listParams(c, "host_id", "status", "limit", "as_of", "wait")
	if err != nil {
		return err
	}
	hosts, err := p.parseHosts()
	if err != nil {
		return err
	}
	views, d, err := g.loadViews(c, p, onlyHosts(hosts))
	if err != nil {
		return err
	}
	gpus, count := make([][]*projections.GPU, len(views)), 0
	for i, v := range views {
		if gpus[i] = v.GPUs(); len(hosts) > 0 {
			gpus[i] = onHosts(gpus[i], hosts)
		}
		count += len(gpus[i])
	}
	w := g.beginMerged(c, views, d, gpuSize*min(limit, count))
	w.Open('[')
	out := gpuList{api: g.API, w: w, limit: limit, wanted: wanted}
	for i, v := range views {
		w.cluster = v.Name
		out.addGPUs(v.timedView, gpus[i])
	}
	w.Close(']')
	return w.finishList(c, out.count, out.total)
}

// mergeLatest answers GET /api/v1/telemetry/latest over several clusters.
func (g *Gateway) mergeLatest(c *fiber.Ctx) error {
	p, err := readParams(c, "host_id", "gpu_id", "metric", "limit", "as_of", "wait", "cluster")
	if err != nil {
		return err
	}
	q, err := p.parseLatest()
	if err != nil {
		return err
	}
	views, d, err := g.loadViews(c, p, hostsOrGPUs(q.hosts, q.gpus))
	if err != nil {
		return err
	}
	gpus, count := make([][]*projections.GPU, len(views)), 0
	for i, v := range views {
		gpus[i] = filterGPUs(v.State, q.hosts, q.gpus)
		count += len(gpus[i])
	}
	w := g.beginMerged(c, views, d, min(q.limit, count)*latestSize(len(q.metrics)))
	w.Open('[')
	out := latestList{api: g.API, w: w, limit: q.limit, metrics: q.metrics}
	for i, v := range views {
		w.cluster = v.Name
		out.addGPUs(gpus[i])
	}
	w.Close(']')
	return w.finishList(c, out.count, out.total)
}

// listParams parses the parameters that lists of a view have in common.
func (g *Gateway) listParams(c *fiber.Ctx, known ...string) (p params, limit int, wanted []projections.Status, err error) {
	if p, err = readParams(c, append(known, "cluster")...); err != nil {
		return nil, 0, nil, err
	}
	if limit, err = p.parseLimit(history.MaxLimit, whole); err != nil {
		return nil, 0, nil, err
	}
	wanted, err = p.parseStatuses()
	return p, limit, wanted, err
}

// mergeTotals answers GET /api/v1/cluster over several clusters: sums and means are over all GPUs of all of them.
func (g *Gateway) mergeTotals(c *fiber.Ctx) error {
	p, err := readParams(c, "as_of", "wait", "cluster")
	if err != nil {
		return err
	}
	views, d, err := g.loadViews(c, p, allHosts)
	if err != nil {
		return err
	}
	now := events.TimestampOf(g.now())
	var states []*live.State
	var models, drivers [][]live.NameCount
	hosts, active, stale := 0, 0, 0
	for _, v := range views {
		now = v.now
		hosts += v.CountHosts()
		a, s := v.HostStatuses(v.now)
		active, stale = active+a, stale+s
		states, models, drivers = append(states, v.State), append(models, v.Models()), append(drivers, v.Drivers())
	}
	w := g.beginMerged(c, views, d, 2048+512*len(views))
	w.Open('{')
	w.Whole("cluster_count", int64(len(views)))
	w.Whole("host_count", int64(hosts))
	w.writeHostCounts(active, stale)
	w.writeTotals(live.TotalsOf(states, now))
	w.writeNames("models", "model_name", live.SumNames(models...))
	w.writeNames("drivers", "driver_version", live.SumNames(drivers...))
	w.Key("clusters")
	w.Open('[')
	for _, v := range views {
		w.Open('{')
		w.Text("cluster", v.Name)
		w.Whole("host_count", int64(v.CountHosts()))
		w.Whole("gpu_count", int64(v.Totals(v.now).GPUs))
		w.writePosition(g.API, v.State)
		w.Close('}')
	}
	w.Close(']')
	w.Close('}')
	return w.finishAnswer(c, 1)
}

// quarantinedIn is an event of a cluster's quarantine.
type quarantinedIn struct {
	cluster string
	Quarantined
}

// mergeQuarantine answers GET /api/v1/quarantine over several clusters, the newest first.
func (g *Gateway) mergeQuarantine(c *fiber.Ctx) error {
	p, err := readParams(c, "host_id", "limit", "cluster")
	if err != nil {
		return err
	}
	limit, err := p.parseLimit(quarantineLimit, quarantineDefault)
	if err != nil {
		return err
	}
	hosts, err := p.parseHosts()
	if err != nil {
		return err
	}
	list, total, d, err := g.readQuarantine(c.UserContext(), QuarantineFilter{Hosts: hosts, Limit: limit})
	if err != nil {
		return err
	}
	w := g.beginMerged(c, nil, d, 512*len(list))
	w.Open('[')
	for i := range list[:min(limit, len(list))] {
		w.cluster = list[i].cluster
		w.writeQuarantined(&list[i].Quarantined)
	}
	w.Close(']')
	if count := min(limit, len(list)); len(hosts) > 0 {
		return w.finishAnswer(c, count)
	} else {
		return w.finishList(c, count, total)
	}
}

// readQuarantine reads the quarantine of each cluster, the newest events first.
func (g *Gateway) readQuarantine(ctx context.Context, f QuarantineFilter) (list []quarantinedIn, total int, d degradations, err error) {
	ctx, cancel := context.WithTimeout(ctx, quarantineTimeout)
	defer cancel()
	cells := g.Visible(ctx)
	var mu sync.Mutex // guards the results
	var reading sync.WaitGroup
	for _, cell := range cells {
		reading.Go(func() {
			own, count, err := cell.readQuarantine(ctx, f)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				d = append(d, degradation{cell: cell, missing: true, reason: errorText(err)})
				return
			}
			total += count
			for _, q := range own {
				list = append(list, quarantinedIn{cell.Name, q})
			}
		})
	}
	reading.Wait()
	slices.SortFunc(d, func(a, b degradation) int { return cmp.Compare(a.cell.Name, b.cell.Name) })
	slices.SortStableFunc(list, func(a, b quarantinedIn) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.cluster, b.cluster), cmp.Compare(b.Revision.Number, a.Revision.Number), cmp.Compare(a.Key, b.Key))
	})
	if len(cells) > 0 && len(d) == len(cells) {
		return nil, 0, nil, &Error{Status: http.StatusServiceUnavailable, Code: Unavailable, Text: d[0].reason}
	}
	return list, total, d, nil
}

// readQuarantine reads the quarantine of the cell. It stops waiting for a cluster whose etcd is not heard.
func (cell *Cell) readQuarantine(ctx context.Context, f QuarantineFilter) ([]Quarantined, int, error) {
	if cell.API == nil {
		return nil, 0, cell.Unavailable()
	}
	scope := access.ScopeFrom(access.InCluster(ctx, cell.Name))
	f.Visible = scope.HostFilter()
	if feed, err := cell.API.feeds.In(scope); err == nil {
		bound, cancel := cells.WithPatience(ctx, feed, degradedTimeout)
		defer cancel()
		ctx = bound
	}
	list, total, err := cell.API.quarantine.Quarantined(ctx, f)
	if err != nil {
		return nil, 0, quarantineError(err)
	}
	return list, total, nil
}
