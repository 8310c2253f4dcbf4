package socket

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// feeds provides the live view of a scope (live.Hub), where there is one cluster.
type feeds interface {
	In(scope access.Scope) (*live.Feed, error)
}

// executor runs GraphQL operations. Execute returns the results one by one, each a whole response as JSON: one of a
// query, and of a subscription one per change until ctx ends or the reader stops. If the operation is refused before
// anything was executed, errors is the JSON array of reasons, and there are no results.
type executor interface {
	Execute(ctx context.Context, op Operation) (results iter.Seq[json.RawMessage], errors json.RawMessage)
}

// Operation is a client's GraphQL request.
type Operation struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
	Extensions    map[string]any `json:"extensions"` // checked to be an object, and not used
	Cluster       string         `json:"-"`          // of several clusters the one that the connection is about, "" for all
}

// Server serves WebSockets. Safe for concurrent use.
type Server struct {
	cfg     Config
	feeds   feeds
	exec    executor
	lg      *slog.Logger
	metrics metrics
	conns   registry
}

// New returns a server. A nil exec serves no GraphQL. It starts nothing: connections live in the handlers'
// goroutines.
func New(cfg Config, feeds feeds, exec executor, lg *slog.Logger) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Server{
		cfg: cfg, feeds: feeds, exec: exec, lg: lg,
		metrics: newMetrics(), conns: newRegistry(cfg.Connections, cfg.PerIP),
	}, nil
}

// Live returns the handler of GET /ws: it upgrades to gpu.live.v1. A request that is no upgrade is answered 426.
func (s *Server) Live() fiber.Handler {
	upgrade := s.upgradeHandler(liveProtocol, func(c *conn) session { return newLiveSession(c) })
	return func(c *fiber.Ctx) error {
		if !isUpgrade(c) {
			c.Set(fiber.HeaderUpgrade, "websocket")
			return fiber.NewError(fiber.StatusUpgradeRequired, "this is a WebSocket endpoint; connect with ws:// or wss://, subprotocol "+liveProtocol)
		}
		return upgrade(c)
	}
}

// GraphQL returns the handler of GET /graphql: it upgrades to graphql-transport-ws. A request that is no upgrade goes
// to the next handler.
func (s *Server) GraphQL() fiber.Handler {
	upgrade := s.upgradeHandler(graphqlProtocol, func(c *conn) session { return newGraphQLSession(c) })
	return func(c *fiber.Ctx) error {
		if s.exec == nil || !isUpgrade(c) {
			return c.Next()
		}
		return upgrade(c)
	}
}

// Shutdown refuses new connections, says goodbye to the open ones (close code 1012: come back later) and waits until
// they have ended. When ctx ends it cuts the remaining connections, and returns an error with their number.
func (s *Server) Shutdown(ctx context.Context) error {
	n := s.conns.stopAccepting(closeWith(codeRestart, "server restarts; resume from the last rev"))
	select {
	case <-s.conns.idle:
		return nil
	case <-ctx.Done():
	}
	if left := s.conns.cutAll(); left > 0 {
		return fmt.Errorf("closing %d WebSockets: %d did not end in time and were cut: %w", n, left, context.Cause(ctx))
	}
	return nil
}

// Close is Shutdown within five seconds.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return s.Shutdown(ctx)
}

// retryAfter returns the time after which a closed client should reconnect: the more clients there are, the further
// apart.
func (s *Server) retryAfter() time.Duration {
	return 500*time.Millisecond + rand.N(time.Second+time.Duration(s.conns.connCount())*time.Millisecond)
}
