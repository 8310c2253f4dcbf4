package rest

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// The states of a cluster.
const (
	cellCurrent = "current" // its view is current
	cellBehind  = "behind"  // its last known view is served
	cellAway    = "away"    // nothing is known of it
)

// ClusterStatus is the state of a cluster as its caller sees it.
type ClusterStatus struct {
	Name   string
	State  string // current, behind or away
	Reason string // of behind and away
	Since  time.Time
	View   *live.State // nil while it is away
}

// Status returns the state of the cell for the caller of a request.
func (cell *Cell) Status(ctx context.Context) ClusterStatus {
	return cell.statusIn(access.ScopeFrom(ctx).In(cell.Name))
}

// statusIn returns the state of the cell for a scope in it. Only callers that see the whole cluster are shown texts that may name hosts
// and addresses.
func (cell *Cell) statusIn(scope access.Scope) ClusterStatus {
	out := ClusterStatus{Name: cell.Name, State: cellAway, Reason: "nothing is known of it yet", Since: cell.Since}
	if cell.API == nil {
		if scope.IsWhole() {
			out.Reason = cell.Reason
		}
		return out
	}
	feed, err := cell.API.feeds.In(scope)
	if err == nil {
		err = feed.Ready()
	}
	if err != nil {
		out.Reason = err.Error()
		return out
	}
	out.State, out.Reason, out.Since, out.View = cellCurrent, "", time.Time{}, feed.State()
	if err := feed.Degraded(); err != nil {
		out.State, out.Reason, out.Since = cellBehind, err.Error(), out.View.AsOf()
	}
	return out
}

// serveClusters answers GET /api/v1/clusters of a gateway.
func (g *Gateway) serveClusters(c *fiber.Ctx) error {
	if _, err := readParams(c); err != nil {
		return err
	}
	var all []ClusterStatus
	for _, cell := range g.Visible(c.UserContext()) {
		all = append(all, cell.Status(c.UserContext()))
	}
	return g.answerClusters(c, all)
}

// serveOwnCluster answers GET /api/v1/clusters where there is one cluster.
func (a *API) serveOwnCluster(c *fiber.Ctx) error {
	if _, err := readParams(c); err != nil {
		return err
	}
	cell := Cell{Name: a.cfg.ClusterID, API: a}
	return a.answerClusters(c, []ClusterStatus{cell.statusIn(access.ScopeFrom(c.UserContext()))})
}

func (a *API) answerClusters(c *fiber.Ctx, all []ClusterStatus) error {
	w := a.writers.getWriter(256 + 384*len(all))
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	w.Key("data")
	w.Open('[')
	for i := range all {
		a.writeCluster(w, &all[i])
	}
	w.Close(']')
	return w.finishAnswer(c, len(all))
}

// writeCluster writes the state of a cluster.
func (a *API) writeCluster(w *writer, s *ClusterStatus) {
	w.Open('{')
	w.Text("name", s.Name)
	w.Text("state", s.State)
	w.Text("reason", s.Reason)
	w.writeInstant("since", s.Since)
	if s.View != nil {
		w.Whole("host_count", int64(s.View.CountHosts()))
		w.Whole("gpu_count", int64(s.View.Totals(0).GPUs))
		w.writePosition(a, s.View)
	}
	w.Close('}')
}

// writePosition writes how current a view is.
func (w *writer) writePosition(a *API, s *live.State) {
	w.Text("generation", string(s.Generation()))
	w.Text("position", s.At().String())
	w.Text("folded", s.Folded().String())
	w.Text("as_of", s.AsOf().UTC().Format(time.RFC3339Nano))
	lag := max(a.now().Sub(s.AsOf()), 0).Seconds()
	w.Float("lag_seconds", &lag)
}
