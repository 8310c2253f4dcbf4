package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/events/build"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/graph"
	"telemetry-pipeline/queryd/rest"
	"telemetry-pipeline/queryd/socket"
)

// MaxCells bounds the clusters of a gateway.
const MaxCells = 64

// Gateway is the query server of several clusters. Run serves; all other methods are safe to call at any time. A cluster that is
// away changes nothing but its own answers, also at the start.
type Gateway struct {
	*front
	cells  []*cell // sorted by name
	api    *rest.Gateway
	engine *graph.Engine
}

// NewGateway returns a server of clusters. It starts nothing, and connects to nothing.
func NewGateway(cfg Config, sources []Source, lg *slog.Logger) (*Gateway, error) {
	front, err := newFront(cfg, lg)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 || len(sources) > MaxCells {
		return nil, fmt.Errorf("a gateway serves 1 to %d clusters, and these are %d", MaxCells, len(sources))
	}
	g := &Gateway{front: front}
	own := front.cfg
	own.HistoryCache = max(own.HistoryCache/int64(len(sources)), 1)
	for _, source := range sources {
		if err := cells.CheckName(source.Name); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(g.cells, func(c *cell) bool { return c.source.Name == source.Name }) {
			return nil, fmt.Errorf("two clusters have the name %s", source.Name)
		}
		g.cells = append(g.cells, newCell(source, own, front.lg))
	}
	slices.SortFunc(g.cells, func(a, b *cell) int { return cmp.Compare(a.source.Name, b.source.Name) })
	g.api = rest.NewGateway(front.cfg.REST, g, front.lg)
	front.fail, front.endWaits = g.api.Fail, g.endAllWaits
	if g.engine, err = graph.NewOfSeveral(graph.Config{Tracer: front.cfg.Tracer}, g, front.lg); err != nil {
		return nil, err
	}
	front.cfg.Socket.Clusters = socketClusters{g}
	if err := front.openSockets(nil, g.engine); err != nil {
		return nil, err
	}
	front.newApp(g.registerRoutes)
	return g, nil
}

// Cells returns the clusters, sorted by name.
func (g *Gateway) Cells() []rest.Cell {
	all := make([]rest.Cell, len(g.cells))
	for i, c := range g.cells {
		all[i] = c.restCell()
	}
	return all
}

func (g *Gateway) registerRoutes(r *fiberguard.Router) {
	r.Get(access.Public, "/health", g.serveHealth)
	r.Get(access.Public, "/ready", g.serveReady)
	r.Get(access.Read, "/api/v1/status", g.serveStatus)
	g.api.Routes(r, g.limitCaller)
	g.registerLive(r, g.answerGraphQL)
}

// Run keeps the clusters connected and serves until ctx ends, then drains and returns when everything has ended. A gateway runs once.
func (g *Gateway) Run(ctx context.Context) error {
	return g.serve(ctx, func(ctx context.Context) error {
		var running sync.WaitGroup
		for _, c := range g.cells {
			running.Go(func() { c.run(ctx) })
		}
		running.Wait()
		return nil
	})
}

// endAllWaits answers requests that wait for a revision.
func (g *Gateway) endAllWaits() {
	for _, c := range g.cells {
		if own := c.current.Load(); own != nil {
			own.api.EndWaits()
		}
	}
}

// Metrics registers the metrics of the listener, and the metrics of each cluster with its name as the label cluster. Call it once, before
// Run.
func (g *Gateway) Metrics(reg prometheus.Registerer) error {
	var failed error
	for _, c := range g.cells {
		c.setRegisterer(reg)
		if c.source.Metrics != nil {
			failed = errors.Join(failed, c.source.Metrics(c.registerer()))
		}
	}
	connected := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "query_clusters_served", Help: "Clusters of which the gateway has a view."},
		func() float64 { return float64(g.countViews()) })
	return errors.Join(failed, g.registerMetrics(reg), g.engine.Metrics(reg), reg.Register(connected))
}

func (g *Gateway) countViews() (n int) {
	for _, c := range g.cells {
		if c.hasView() {
			n++
		}
	}
	return n
}

// Ready returns nil while queries are served. A gateway is ready once each cluster has a view or is known to be away, and at least
// one has a view: a cluster that is away takes no gateway out of rotation.
func (g *Gateway) Ready() error {
	switch {
	case g.stopping.Load():
		return errStopping
	case g.Addr() == nil:
		return errors.New("not listening yet")
	}
	for _, c := range g.cells {
		if !c.isSettled() {
			return errors.New("connecting to the clusters")
		}
	}
	if g.countViews() == 0 {
		return errors.New("no cluster answers")
	}
	return nil
}

// condition returns the state of the server as the caller of a request sees it, with the given words for its status.
func (g *Gateway) condition(ctx context.Context, good, bad string) condition {
	if err := g.Ready(); err != nil {
		return condition{Status: bad, Reason: err.Error()}
	}
	var reasons []string
	for _, cell := range g.api.Visible(ctx) {
		if s := cell.Status(ctx); s.Reason != "" {
			reasons = append(reasons, fmt.Sprintf("cluster %s is %s: %s", s.Name, s.State, s.Reason))
		}
	}
	if len(reasons) > 0 {
		return condition{Status: bad, Reason: strings.Join(reasons, "; ")}
	}
	return condition{Status: good}
}

// serveHealth answers GET /health: alive, and whether the answers of all clusters that the caller sees are current.
func (g *Gateway) serveHealth(c *fiber.Ctx) error {
	return c.JSON(g.condition(c.UserContext(), "healthy", "degraded"))
}

// serveReady answers GET /ready.
func (g *Gateway) serveReady(c *fiber.Ctx) error {
	if err := g.Ready(); err != nil {
		return c.Status(http.StatusServiceUnavailable).JSON(condition{Status: "not_ready", Reason: err.Error()})
	}
	return c.JSON(g.condition(c.UserContext(), "ready", "ready"))
}

// gatewayStatus is the answer of /api/v1/status. It has the members of the status of one cluster as far as several have them.
type gatewayStatus struct {
	Service       string          `json:"service"`
	Version       string          `json:"version"`
	Go            string          `json:"go"`
	Status        string          `json:"status"` // ok or degraded
	Reason        string          `json:"reason,omitempty"`
	StartedAt     time.Time       `json:"started_at"`
	UptimeSeconds int64           `json:"uptime_seconds"`
	Clusters      []clusterStatus `json:"clusters"`
	Hosts         int             `json:"host_count"`
	GPUs          int             `json:"gpu_count"`
	GraphQL       bool            `json:"graphql"`
	WebSocket     bool            `json:"websocket"`
	CORS          bool            `json:"cors"`
}

type clusterStatus struct {
	Name   string     `json:"name"`
	State  string     `json:"state"`
	Reason string     `json:"reason,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
}

// serveStatus answers GET /api/v1/status.
func (g *Gateway) serveStatus(c *fiber.Ctx) error {
	now := g.condition(c.UserContext(), "ok", "degraded")
	out := gatewayStatus{
		Service: "queryd", Version: build.Version(), Go: runtime.Version(), Status: now.Status, Reason: now.Reason,
		StartedAt: g.started.UTC(), UptimeSeconds: int64(time.Since(g.started).Seconds()), Clusters: []clusterStatus{},
		GraphQL: !g.cfg.NoGraphQL, WebSocket: !g.cfg.NoWebSocket, CORS: g.gate.HasCORS(),
	}
	for _, cell := range g.api.Visible(c.UserContext()) {
		s := cell.Status(c.UserContext())
		one := clusterStatus{Name: s.Name, State: s.State, Reason: s.Reason}
		if !s.Since.IsZero() {
			at := s.Since.UTC()
			one.Since = &at
		}
		if s.View != nil {
			out.Hosts, out.GPUs = out.Hosts+s.View.CountHosts(), out.GPUs+s.View.Totals(0).GPUs
		}
		out.Clusters = append(out.Clusters, one)
	}
	return c.JSON(struct {
		Success bool          `json:"success"`
		Data    gatewayStatus `json:"data"`
		Count   int           `json:"count"`
	}{true, out, 1})
}

// answerGraphQL answers GET and POST /graphql, for all clusters or for the one that the request names.
func (g *Gateway) answerGraphQL(c *fiber.Ctx) error {
	name := c.Query("cluster")
	if name != "" {
		if _, err := g.api.Find(c.UserContext(), name); err != nil {
			return err
		}
	}
	return g.serveGraphQL(c, inCluster{g.engine, name})
}

// inCluster executes GraphQL for one of several clusters, or for all if its name is empty.
type inCluster struct {
	*graph.Engine
	cluster string
}

// Execute runs a query.
func (e inCluster) Execute(ctx context.Context, req graph.Request) graph.Result {
	req.Cluster = e.cluster
	return e.Engine.Execute(ctx, req)
}

// Clusters returns the clusters that the caller of a request may see, for GraphQL.
func (g *Gateway) Clusters(ctx context.Context) []graph.Cluster {
	var all []graph.Cluster
	for _, one := range g.api.Visible(ctx) {
		s := one.Status(ctx)
		out := graph.Cluster{Name: s.Name, State: s.State, Reason: s.Reason, Since: s.Since}
		if own := g.servicesOf(one.Name); own != nil && s.View != nil {
			if feed, err := own.hub.In(access.ScopeFrom(access.InCluster(ctx, one.Name))); err == nil {
				out.Feed, out.Past = feed, own.past
			}
		}
		all = append(all, out)
	}
	return all
}

// servicesOf returns the services of a cluster, nil while it is not connected.
func (g *Gateway) servicesOf(name string) *services {
	for _, c := range g.cells {
		if c.source.Name == name {
			return c.current.Load()
		}
	}
	return nil
}

// socketClusters provides the live views of the clusters to sockets.
type socketClusters struct{ gateway *Gateway }

// CheckVisible returns an error unless a caller may see a cluster.
func (s socketClusters) CheckVisible(ctx context.Context, cluster string) error {
	_, err := s.gateway.api.Find(ctx, cluster)
	return err
}

// Feeds returns the live views that a caller sees now, and the names of the clusters that have none.
func (s socketClusters) Feeds(ctx context.Context) (feeds []socket.ClusterFeed, away []string) {
	for _, c := range s.gateway.Clusters(ctx) {
		if c.Feed == nil {
			away = append(away, c.Name)
		} else {
			feeds = append(feeds, socket.ClusterFeed{Cluster: c.Name, Feed: c.Feed})
		}
	}
	return feeds, away
}
