package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// moment is what an answer is made from: the view, and the instant that it is told at. Both are of the past when ?as_of=
// asks for that.
type moment struct {
	*live.State
	now  events.Timestamp
	past bool
}

// hosts tells which hosts an answer is about, all when there are none.
type hosts func(s *live.State) ([]events.HostID, error)

// moment gives what a request is answered from. Only the hosts that it is about are looked for in the past.
func (a *API) moment(c *fiber.Ctx, p params, about hosts) (*moment, error) {
	at, past, err := a.instant(p)
	if err != nil {
		return nil, err
	}
	s, err := a.state(c, p)
	if err != nil {
		return nil, err
	}
	if !past {
		return &moment{State: s, now: events.TimestampOf(a.now())}, nil
	}
	only, err := about(s)
	if err != nil {
		return nil, err
	}
	timeout := a.cfg.Timeout
	if a.view.Degraded() != nil {
		timeout = min(timeout, degradedPatience)
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), timeout)
	defer cancel()
	then, err := a.past.AsOf(ctx, s, at, only)
	if err != nil {
		return nil, a.pastAway(ctx, err)
	}
	return &moment{State: then, now: at, past: true}, nil
}

// instant reads as_of.
func (a *API) instant(p params) (at events.Timestamp, given bool, err error) {
	text, given := p.one("as_of")
	if !given {
		return 0, false, nil
	}
	if at, _, err = history.ParseTime(text, a.now()); err != nil {
		return 0, true, badParameter("as_of", text, history.TimesTaken)
	}
	return at, true, nil
}

// pastAway tells why there is no answer about the past.
func (a *API) pastAway(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && a.view.Degraded() != nil:
		return &Error{http.StatusServiceUnavailable, Unavailable,
			"the past is read from etcd, which does not answer; the latest readings are still served, with their age", err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &Error{http.StatusGatewayTimeout, Timeout,
			"going back to that time took too long: some metrics of then are far before it, or were not there yet; " +
				"ask for one host or GPU, or for the history of a metric", err}
	case history.PermanentError(err) != nil:
		return &Error{http.StatusServiceUnavailable, Unavailable, history.PermanentError(err).Error(), err}
	default:
		return &Error{http.StatusServiceUnavailable, Unavailable, "the past cannot be read at the moment; try again", err}
	}
}

// then tells people that something is not there at that time, rather than not at all.
func (m *moment) then() string {
	if !m.past {
		return ""
	}
	return " as of " + m.now.String()
}

// beginAt starts the envelope of a good answer, up to the data.
func (a *API) beginAt(m *moment, size int) *writer {
	if !m.past {
		return a.begin(m.State, size)
	}
	w := a.writers.get(256 + size)
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	w.Key("as_of")
	w.Str(m.now.Time().Format(time.RFC3339Nano))
	w.Key("data")
	return w
}

// everywhere is about all hosts.
func everywhere(*live.State) ([]events.HostID, error) { return nil, nil }

// on is about some hosts, all when there are none.
func on(some []events.HostID) hosts {
	return func(*live.State) ([]events.HostID, error) { return some, nil }
}

// pathHost is about the host that the path names.
func pathHost(c *fiber.Ctx) hosts {
	return func(*live.State) ([]events.HostID, error) {
		id, err := segment(c, "hostname")
		return []events.HostID{events.HostID(id)}, err
	}
}

// pathGPU is about the hosts of the GPU that the path names.
func pathGPU(c *fiber.Ctx) hosts {
	return func(s *live.State) ([]events.HostID, error) {
		id, err := segment(c, "id")
		return hostsOf(s, events.GPUID(id)), err
	}
}

// having is about hosts, or about those that GPUs were seen on.
func having(some []events.HostID, gpus []events.GPUID) hosts {
	return func(s *live.State) ([]events.HostID, error) {
		if len(some) > 0 || len(gpus) == 0 {
			return some, nil
		}
		var all []events.HostID
		for _, id := range gpus {
			all = append(all, hostsOf(s, id)...)
		}
		return all, nil
	}
}

// hostsOf gives the hosts that a GPU was seen on, or where one may have had its slot. There is always one, and what is
// not there is no host's.
func hostsOf(s *live.State, id events.GPUID) []events.HostID {
	var all []events.HostID
	if g, ok := s.GPU(id); ok {
		all = append(all, g.Hosts...)
	}
	if colon := strings.LastIndexByte(string(id), ':'); colon > 0 {
		all = append(all, events.HostID(id[:colon]))
	}
	if len(all) == 0 {
		all = []events.HostID{""}
	}
	return all
}
