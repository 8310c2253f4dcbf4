package socket

import (
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
)

const (
	liveProtocol    = "gpu.live.v1"
	graphqlProtocol = "graphql-transport-ws"

	requestKey = "socket.request" // the fiber local that carries a request over the upgrade
)

// request is the part of a request that must outlive the upgrade. Its strings are copies: the request's memory is
// reused.
type request struct {
	ip      string
	offered []string // subprotocols that the client speaks
}

func isUpgrade(c *fiber.Ctx) bool { return websocket.IsWebSocketUpgrade(c) }

// upgradeHandler returns the handler that upgrades to one subprotocol. Origins and limits are checked before, with
// messages for a person: the library answers every refusal with 426.
func (s *Server) upgradeHandler(protocol string, begin func(*conn) session) fiber.Handler {
	accept := websocket.New(func(c *websocket.Conn) {
		r, ok := c.Locals(requestKey).(*request)
		if !ok {
			return
		}
		// From here on nothing touches c: the library reuses it for another client when this function returns.
		s.serveConn(newConn(s, c.Conn, protocol, r.ip), r, begin)
	}, websocket.Config{
		Subprotocols:    []string{protocol},
		ReadBufferSize:  1 << 10,
		WriteBufferSize: 4 << 10,
		WriteBufferPool: &sync.Pool{},
		RecoverHandler: func(*websocket.Conn) {
			if p := recover(); p != nil {
				s.lg.Error("serving a WebSocket panicked", "panic", p)
			}
		},
	})
	return func(c *fiber.Ctx) error {
		if origin := c.Get(fiber.HeaderOrigin); !originAllowed(origin, c.Get(fiber.HeaderHost), s.origins) {
			s.metrics.refused.WithLabelValues("origin").Inc()
			return fiber.NewError(fiber.StatusForbidden, "origin "+strings.Clone(origin)+" may not open WebSockets here; add it to flag socket.origins")
		}
		r := &request{ip: strings.Clone(c.IP()), offered: parseSubprotocols(c.Get("Sec-WebSocket-Protocol"))}
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

// originAllowed reports whether a page of an origin may connect: any client that is no browser, pages of this host,
// and listed ones.
func originAllowed(origin, host string, list []string) bool {
	if origin == "" || slices.Contains(list, "*") || slices.Contains(list, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
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
