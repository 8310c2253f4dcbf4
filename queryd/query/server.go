package query

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
	"telemetry-pipeline/queryd/live"
)

// Server is the query server of one cluster. Run serves; all other methods are safe to call at any time.
type Server struct {
	*front
	*services
}

// New returns a server on stored projections and their log. It starts nothing.
func New(cfg Config, store store, log log, lg *slog.Logger) (*Server, error) {
	front, err := newFront(cfg, lg)
	if err != nil {
		return nil, err
	}
	own, err := newServices(front.cfg, store, log, front.lg)
	if err != nil {
		return nil, err
	}
	s := &Server{front: front, services: own}
	front.fail, front.endWaits = s.api.Fail, s.api.EndWaits
	if err := front.openSockets(s.hub, s.engine); err != nil {
		return nil, err
	}
	front.newApp(s.registerRoutes)
	return s, nil
}

// registerRoutes registers the routes of the surfaces.
func (s *Server) registerRoutes(r *fiberguard.Router) {
	r.Get(access.Public, "/health", s.serveHealth)
	r.Get(access.Public, "/ready", s.serveReady)
	r.Get(access.Read, "/api/v1/status", s.serveStatus)
	s.api.Routes(r, s.limitCaller)
	s.registerLive(r, func(c *fiber.Ctx) error { return s.serveGraphQL(c, s.graph) })
}

// Run follows the projections and serves until ctx ends, then drains and returns when everything has ended. A server
// runs once.
func (s *Server) Run(ctx context.Context) error { return s.serve(ctx, s.hub.Run) }

// WaitVisible blocks until everything up to the given positions, by partition, is visible to queries. If ctx ends, it
// returns its cause; if Run ends, an error.
func (s *Server) WaitVisible(ctx context.Context, upto map[events.Partition]events.Revision) error {
	return s.hub.WaitEach(ctx, upto)
}

// Ready returns nil while queries are served from a current view.
func (s *Server) Ready() error { return s.readyIn(s.hub.Feed) }

// readyIn is Ready for the view of a scope.
func (s *Server) readyIn(feed *live.Feed) error {
	switch {
	case s.stopping.Load():
		return errStopping
	case s.Addr() == nil:
		return errors.New("not listening yet")
	default:
		return feed.Ready()
	}
}
