package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// Cell is a cluster behind a gateway at a moment.
type Cell struct {
	Name string
	// API answers for the cluster (API.InCluster). It is nil while nothing is known of the cluster: then Reason says why, and Since
	// since when.
	API    *API
	Reason string
	Since  time.Time
}

// cellSource provides the clusters behind a gateway, sorted by name. It never waits.
type cellSource interface {
	Cells() []Cell
}

// Gateway answers requests over several clusters. A request that names a cluster is answered by the API of that cluster. Another
// one is answered from all clusters that its caller may see, as far as they answer: a cluster that does not is named in the answer
// and changes nothing else in it. A cluster in which the scope of the caller selects nothing does not exist for the caller. Safe for
// concurrent use.
type Gateway struct {
	*API   // for everything that needs no cluster
	source cellSource
}

// NewGateway returns a gateway.
func NewGateway(cfg Config, source cellSource, lg *slog.Logger) *Gateway {
	return &Gateway{API: newAPI(cfg, lg), source: source}
}

// InCluster makes the API one of a gateway: its answers have the name of the cluster. Call it before the first request.
func (a *API) InCluster(name string) { a.cluster = name }

// Routes registers every path of this package. each comes before the handlers of telemetry.
func (g *Gateway) Routes(r router, each fiber.Handler) {
	r.Get(access.Read, "/api/v1/clusters", each, g.serveClusters)
	for _, route := range []struct {
		path   string
		one    handler       // for a cluster that is named
		merged fiber.Handler // for all
	}{
		{"/api/v1/gpus", (*API).serveGPUs, g.mergeGPUs},
		{"/api/v1/gpus/:id", (*API).serveGPU, g.findOnly(gpuInPath, (*API).serveGPU)},
		{"/api/v1/gpus/:id/telemetry", (*API).serveGPUTelemetry, g.findOnly(gpuInPath, (*API).serveGPUTelemetry)},
		{"/api/v1/hosts", (*API).serveHosts, g.mergeHosts},
		{"/api/v1/hosts/:hostname", (*API).serveHost, g.findOnly(hostInPath, (*API).serveHost)},
		{"/api/v1/hosts/:hostname/gpus", (*API).serveHostGPUs, g.findOnly(hostInPath, (*API).serveHostGPUs)},
		{"/api/v1/telemetry", (*API).serveTelemetry, g.mergeTelemetry},
		{"/api/v1/telemetry/latest", (*API).serveLatest, g.mergeLatest},
		{"/api/v1/cluster", (*API).serveCluster, g.mergeTotals},
		{"/api/v1/quarantine", (*API).serveQuarantine, g.mergeQuarantine},
		{"/api/v1/events", (*API).serveEvents, g.RequireCluster},
	} {
		r.Get(access.Read, route.path, each, g.choose(route.one, route.merged))
	}
	r.Post(access.Administer, "/api/v1/quarantine/retry", each, g.choose((*API).retryQuarantined, g.RequireCluster))
	g.describe(r)
}

// handler answers a request for one cluster.
type handler func(*API, *fiber.Ctx) error

// choose returns the handler of a path: one answers for the cluster that the request names, else merged answers.
func (g *Gateway) choose(one handler, merged fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		args := c.Context().QueryArgs()
		if !args.Has("cluster") {
			return merged(c)
		}
		name := string(args.Peek("cluster"))
		if len(args.PeekMulti("cluster")) > 1 {
			return badParameter("cluster", name, "one value only, and was given twice")
		}
		args.Del("cluster")
		cell, err := g.Find(c.UserContext(), name)
		if err != nil {
			return err
		}
		return cell.answer(c, one)
	}
}

// answer answers a request from the cell alone.
func (cell *Cell) answer(c *fiber.Ctx, one handler) error {
	if cell.API == nil {
		return cell.Unavailable()
	}
	c.SetUserContext(access.InCluster(c.UserContext(), cell.Name))
	return one(cell.API, c)
}

// Visible returns the clusters that the caller of a request may see.
func (g *Gateway) Visible(ctx context.Context) []Cell {
	scope := access.ScopeFrom(ctx)
	var visible []Cell
	for _, cell := range g.source.Cells() {
		if !scope.In(cell.Name).IsEmpty() {
			visible = append(visible, cell)
		}
	}
	return visible
}

// Find returns the cluster of a name. One that the caller may not see is unknown.
func (g *Gateway) Find(ctx context.Context, name string) (Cell, error) {
	visible := g.Visible(ctx)
	for _, cell := range visible {
		if cell.Name == name {
			return cell, nil
		}
	}
	return Cell{}, &Error{Status: http.StatusNotFound, Code: UnknownCluster, Text: fmt.Sprintf("no cluster %q; %s", name, listNames(visible))}
}

// RequireCluster refuses a request that can be answered for one cluster only.
func (g *Gateway) RequireCluster(c *fiber.Ctx) error {
	text := "this is of one cluster: name it with the parameter cluster; " + listNames(g.Visible(c.UserContext()))
	return &Error{Status: http.StatusBadRequest, Code: ClusterRequired, Text: text}
}

// listNames returns the part of an error text that names clusters.
func listNames(cells []Cell) string {
	names := make([]string, len(cells))
	for i := range cells {
		names[i] = cells[i].Name
	}
	if len(names) == 0 {
		return "there are none for you"
	}
	return "there are: " + strings.Join(names, ", ")
}

// Unavailable returns the error of a request for a cluster of which nothing is known.
func (cell *Cell) Unavailable() error {
	text := fmt.Sprintf("cluster %s is away and nothing is known of it yet; try again in a moment, and see /api/v1/clusters for the reason", cell.Name)
	return &Error{Status: http.StatusServiceUnavailable, Code: Unavailable, Text: text}
}

// pathFinder returns, for a request with an id in its path, what has the id, for error texts, and a function that reports whether it is
// in a view.
type pathFinder func(c *fiber.Ctx) (name string, in func(s *live.State) bool, err error)

// findOnly returns the handler of a path with an id: the one cluster that has it answers.
func (g *Gateway) findOnly(find pathFinder, one handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		name, isIn, err := find(c)
		if err != nil {
			return err
		}
		ctx := c.UserContext()
		owner, err := g.waitOwner(c)
		if err != nil {
			return err
		}
		var found []Cell
		var away degradations
		for _, cell := range g.Visible(ctx) {
			if owner != "" && cell.Name != owner {
				continue
			}
			state, err := cell.currentState(ctx)
			switch {
			case err != nil:
				away = append(away, degradation{cell: cell, missing: true, reason: err.Error()})
			case owner != "" || isIn(state):
				found = append(found, cell)
			}
		}
		switch {
		case len(found) > 1:
			text := fmt.Sprintf("%s is in several clusters; name one with the parameter cluster; %s", name, listNames(found))
			return &Error{Status: http.StatusConflict, Code: Ambiguous, Text: text}
		case len(found) == 1:
			away.setHeaders(c)
			return found[0].answer(c, one)
		case len(away) > 0:
			away.setHeaders(c)
			text := fmt.Sprintf("no %s in the clusters that answer, and it may be in another; away: %s", name, strings.Join(away.names(true), ", "))
			return &Error{Status: http.StatusServiceUnavailable, Code: Unavailable, Text: text}
		default:
			return &Error{Status: http.StatusNotFound, Code: NotFound, Text: fmt.Sprintf("no %s in any cluster", name)}
		}
	}
}
