package query

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/build"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/live"
)

// condition is the answer of /health and /ready.
type condition struct {
	Status string     `json:"status"`
	Reason string     `json:"reason,omitempty"`
	AsOf   *time.Time `json:"as_of,omitempty"` // when the view was last known to be current
}

// currentCondition returns the state of the server as a scope sees it, with the given words for its status.
func (s *Server) currentCondition(feed *live.Feed, good, bad string) condition {
	err := errors.Join(s.readyIn(feed), feed.Degraded(), feed.Incomplete())
	if err == nil {
		return condition{Status: good}
	}
	c := condition{Status: bad, Reason: err.Error()}
	if at := feed.State().AsOf(); !at.IsZero() {
		at = at.UTC()
		c.AsOf = &at
	}
	return c
}

// serveHealth answers GET /health: alive, and whether answers are current. Traffic depends on readiness only.
func (s *Server) serveHealth(c *fiber.Ctx) error {
	return c.JSON(s.currentCondition(s.probeFeed(c), "healthy", "degraded"))
}

// serveReady answers GET /ready. A view that is behind or incomplete is still served, with the reason and its age.
func (s *Server) serveReady(c *fiber.Ctx) error {
	feed := s.probeFeed(c)
	if err := s.readyIn(feed); err != nil {
		return c.Status(http.StatusServiceUnavailable).JSON(condition{Status: "not_ready", Reason: err.Error()})
	}
	return c.JSON(s.currentCondition(feed, "ready", "ready"))
}

// probeFeed returns the feed of the scope of a request, or the feed of no hosts: probes depend on no limit.
func (s *Server) probeFeed(c *fiber.Ctx) *live.Feed {
	feed, err := s.hub.In(access.ScopeFrom(c.UserContext()))
	if err != nil {
		feed, _ = s.hub.In(access.Scope{}) // has no error
	}
	return feed
}

// feedOf returns the feed of the scope of a request.
func (s *Server) feedOf(c *fiber.Ctx) (*live.Feed, error) {
	feed, err := s.hub.In(access.ScopeFrom(c.UserContext()))
	if err != nil {
		return nil, fiber.NewError(http.StatusServiceUnavailable, "the view of your scope cannot be served at the moment; try again later")
	}
	return feed, nil
}

type serverStatus struct {
	Service       string     `json:"service"`
	Version       string     `json:"version"`
	Go            string     `json:"go"`
	Status        string     `json:"status"` // ok or degraded
	Reason        string     `json:"reason,omitempty"`
	StartedAt     time.Time  `json:"started_at"`
	UptimeSeconds int64      `json:"uptime_seconds"`
	Generation    string     `json:"generation"`
	Position      string     `json:"position"`
	Folded        string     `json:"folded"`
	AsOf          *time.Time `json:"as_of,omitempty"`
	Hosts         int        `json:"host_count"`
	GPUs          int        `json:"gpu_count"`
	Quarantined   *int       `json:"quarantined,omitempty"` // left out if etcd does not answer
	GraphQL       bool       `json:"graphql"`
	WebSocket     bool       `json:"websocket"`
	CORS          bool       `json:"cors"`
}

// serveStatus answers GET /api/v1/status.
func (s *Server) serveStatus(c *fiber.Ctx) error {
	feed, err := s.feedOf(c)
	if err != nil {
		return err
	}
	view, now := feed.State(), s.currentCondition(feed, "ok", "degraded")
	return c.JSON(struct {
		Success bool         `json:"success"`
		Data    serverStatus `json:"data"`
		Count   int          `json:"count"`
	}{true, serverStatus{
		Service: "queryd", Version: build.Version(), Go: runtime.Version(), Status: now.Status, Reason: now.Reason,
		StartedAt: s.started.UTC(), UptimeSeconds: int64(time.Since(s.started).Seconds()),
		Generation: string(view.Generation()), Position: view.At().String(), Folded: view.Folded().String(), AsOf: now.AsOf,
		Hosts: view.CountHosts(), GPUs: view.Totals(0).GPUs, Quarantined: s.countQuarantined(view.Scope()),
		GraphQL: !s.cfg.NoGraphQL, WebSocket: !s.cfg.NoWebSocket, CORS: s.gate.HasCORS(),
	}, 1})
}

// quarantineTimeout bounds the time for counting the quarantine.
const quarantineTimeout = 500 * time.Millisecond

// countQuarantined returns the number of events of a scope in the quarantine, nil if etcd does not answer in time.
func (s *Server) countQuarantined(scope access.Scope) *int {
	ctx, cancel := context.WithTimeout(s.requests, quarantineTimeout)
	defer cancel()
	count := s.store.QuarantineCount
	if visible := scope.HostFilter(); visible != nil {
		count = func(ctx context.Context) (total int, err error) {
			_, total, err = s.store.QuarantineList(ctx, snapshot.QuarantineFilter{Limit: 1, Visible: visible})
			return total, err
		}
	}
	n, err := count(ctx)
	if err != nil {
		return nil
	}
	return &n
}

// serveIndex answers GET /.
func serveIndex(c *fiber.Ctx) error {
	c.Type("html", "utf-8")
	return c.SendString(indexPage)
}

const indexPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Elastic GPU Telemetry Pipeline</title></head>
<body>
<h1>Elastic GPU Telemetry Pipeline: queries</h1>
<ul>
<li><a href="/docs">API documentation</a>, also as <a href="/openapi.yaml">OpenAPI 3.1</a></li>
<li><a href="/api/v1/cluster">The fleet in one object</a>, its <a href="/api/v1/hosts">hosts</a>, <a href="/api/v1/gpus">GPUs</a> and
<a href="/api/v1/telemetry/latest">latest readings</a></li>
<li>GraphQL on /graphql, the live stream on /ws (WebSocket)</li>
<li><a href="/health">Health</a>, <a href="/ready">readiness</a>, <a href="/api/v1/status">status</a></li>
</ul>
</body>
</html>
`
