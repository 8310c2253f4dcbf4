package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// timedView is a view and the instant for which it is answered. With ?as_of= both are of the past.
type timedView struct {
	*live.State
	now  events.Timestamp
	past bool
}

// hostScope returns the hosts that an answer needs; no hosts mean all.
type hostScope func(s *live.State) ([]events.HostID, error)

// loadView returns the view for a request. A view of the past is restored for the hosts in scope only.
func (a *API) loadView(ctx context.Context, p params, about hostScope) (*timedView, error) {
	at, past, err := a.parseAsOf(p)
	if err != nil {
		return nil, err
	}
	s, err := a.requestState(ctx, p)
	if err != nil {
		return nil, err
	}
	if !past {
		return &timedView{State: s, now: events.TimestampOf(a.now())}, nil
	}
	only, err := about(s)
	if err != nil {
		return nil, err
	}
	timeout := a.cfg.Timeout
	if a.feeds.IsBehind() {
		timeout = min(timeout, degradedTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	then, err := a.past.AsOf(ctx, s, at, only)
	if err != nil {
		return nil, a.pastError(ctx, err)
	}
	return &timedView{State: then, now: at, past: true}, nil
}

// parseAsOf parses the parameter as_of.
func (a *API) parseAsOf(p params) (at events.Timestamp, given bool, err error) {
	text, given := p.singleValue("as_of")
	if !given {
		return 0, false, nil
	}
	if at, _, err = history.ParseTime(text, a.now()); err != nil {
		return 0, true, badParameter("as_of", text, history.TimeSyntax)
	}
	return at, true, nil
}

// pastError returns the answer for a failed read of the past.
func (a *API) pastError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil && a.feeds.IsBehind():
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

// asOfSuffix returns a suffix for error texts: something may be missing at that time and still exist at another.
func (m *timedView) asOfSuffix() string {
	if !m.past {
		return ""
	}
	return " as of " + m.now.String()
}

// beginAnswerAt starts the envelope of a successful answer, up to the data.
func (a *API) beginAnswerAt(m *timedView, size int) *writer {
	if !m.past {
		return a.beginAnswer(m.State, size)
	}
	w := a.newWriter(256 + size)
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	w.Key("as_of")
	w.StringValue(m.now.Time().Format(time.RFC3339Nano))
	w.Key("data")
	return w
}

// allHosts is the scope of all hosts.
func allHosts(*live.State) ([]events.HostID, error) { return nil, nil }

// onlyHosts returns the scope of the given hosts, or of all hosts if there are none.
func onlyHosts(some []events.HostID) hostScope {
	return func(*live.State) ([]events.HostID, error) { return some, nil }
}

// pathHost returns the scope of the host in the path.
func pathHost(c *fiber.Ctx) hostScope {
	return func(*live.State) ([]events.HostID, error) {
		id, err := pathSegment(c, "hostname")
		return []events.HostID{events.HostID(id)}, err
	}
}

// pathGPU returns the scope of the hosts of the GPU in the path.
func pathGPU(c *fiber.Ctx) hostScope {
	return func(s *live.State) ([]events.HostID, error) {
		id, err := pathSegment(c, "id")
		return hostsOf(s, events.GPUID(id)), err
	}
}

// hostsOrGPUs returns the scope of the given hosts, else of the hosts on which the GPUs were seen.
func hostsOrGPUs(some []events.HostID, gpus []events.GPUID) hostScope {
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

// hostsOf returns the hosts that may have records of a GPU. It never returns an empty list, because that would mean all
// hosts: an unknown GPU has the host "".
func hostsOf(s *live.State, id events.GPUID) []events.HostID {
	if all := s.OnHosts().HostsNaming(id); len(all) > 0 { // by namespace also of a GPU that it had then
		return all
	}
	return []events.HostID{""}
}
