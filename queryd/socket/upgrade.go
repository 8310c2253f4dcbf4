package socket

import (
	"context"
	"net/netip"
	"strings"
	"sync"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/events/access/fiberguard"
)

const (
	liveProtocol    = "gpu.live.v1"
	graphqlProtocol = "graphql-transport-ws"

	requestKey = "socket.request" // the fiber local that carries a request over the upgrade
)

// request is the part of a request that must outlive the upgrade. Its strings are copies: the request's memory is
// reused.
type request struct {
	ip        string
	address   netip.Addr // the same
	offered   []string   // subprotocols that the client speaks
	access    *access.Request
	principal *access.Principal // nil: the client has to send a token
	ids       access.RequestIDs // by which its lines are found in the log
	cluster   string            // of several clusters the one that the connection is about, "" for all
}

func isUpgrade(c *fiber.Ctx) bool { return websocket.IsWebSocketUpgrade(c) }

// upgradeHandler returns the handler that upgrades to one subprotocol. Limits are checked before, with
// messages for a person: the library answers every refusal with 426.
func (s *Server) upgradeHandler(protocol string, begin func(*conn) session) fiber.Handler {
	accept := websocket.New(func(c *websocket.Conn) {
		r, ok := c.Locals(requestKey).(*request)
		if !ok {
			return
		}
		// From here on nothing touches c: the library reuses it for another client when this function returns.
		s.serveConn(newConn(s, c.Conn, protocol, r), r, begin)
	}, websocket.Config{
		Subprotocols:    []string{protocol},
		ReadBufferSize:  1 << 10,
		WriteBufferSize: 4 << 10,
		WriteBufferPool: &sync.Pool{},
		RecoverHandler: func(c *websocket.Conn) {
			if p := recover(); p != nil {
				ctx := context.Background()
				if r, ok := c.Locals(requestKey).(*request); ok {
					ctx = access.WithRequestIDs(ctx, r.ids)
				}
				s.lg.ErrorContext(ctx, "serving a WebSocket panicked", "panic", p)
			}
		},
	})
	return func(c *fiber.Ctx) error {
		r := s.requestOf(c)
		if err := s.checkCluster(c, r); err != nil {
			return err
		}
		if why := s.conns.checkRoom(r.ip); why != "" {
			s.metrics.refused.WithLabelValues(string(why)).Inc()
			return refuseUpgrade(c, why)
		}
		c.Locals(requestKey, r)
		return accept(c)
	}
}

// refuseUpgrade answers a connection for which there is no room.
func refuseUpgrade(c *fiber.Ctx, why refusal) error {
	c.Set(fiber.HeaderRetryAfter, "5")
	switch why {
	case tooManyIP:
		return fiber.NewError(fiber.StatusTooManyRequests, "too many WebSocket connections from your address; close some, or raise flag socket.per-ip")
	case stopping:
		return fiber.NewError(fiber.StatusServiceUnavailable, "the server is stopping; connect again in a few seconds")
	default:
		return fiber.NewError(fiber.StatusServiceUnavailable, "too many WebSocket connections; come back later, or raise flag socket.connections")
	}
}

// requestOf returns the request of an upgrade.
func (s *Server) requestOf(c *fiber.Ctx) *request {
	r := &request{offered: parseSubprotocols(c.Get("Sec-WebSocket-Protocol")), access: fiberguard.RequestOf(c), principal: access.PrincipalFrom(c.UserContext()), ids: access.RequestIDsFrom(c.UserContext())}
	if s.cfg.Clusters != nil {
		r.cluster = strings.Clone(c.Query("cluster"))
	}
	r.address = s.cfg.Gate.Address(r.access)
	r.ip = r.address.String()
	return r
}

// parseSubprotocols returns copies of the names in a Sec-WebSocket-Protocol header.
func parseSubprotocols(header string) []string {
	var out []string
	for name := range strings.SplitSeq(header, ",") {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, strings.Clone(name))
		}
	}
	return out
}
