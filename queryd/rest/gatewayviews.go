package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// The headers of an answer over several clusters: of which it has nothing, and of which it has their last known views.
const (
	unavailableHeader = "X-Clusters-Unavailable"
	staleHeader       = "X-Clusters-Stale"
)

// degradation is a cluster that is not current in an answer.
type degradation struct {
	cell    Cell
	missing bool      // nothing of it is in the answer
	asOf    time.Time // of its view, if it is in the answer
	reason  string
}

type degradations []degradation

// names returns the clusters that are missing, or those that are not.
func (d degradations) names(missing bool) (names []string) {
	for _, one := range d {
		if one.missing == missing {
			names = append(names, one.cell.Name)
		}
	}
	return names
}

// setHeaders names the clusters in the header of an answer.
func (d degradations) setHeaders(c *fiber.Ctx) {
	for header, missing := range map[string]bool{unavailableHeader: true, staleHeader: false} {
		if names := d.names(missing); len(names) > 0 {
			c.Set(header, strings.Join(names, ", "))
		}
	}
}

// writeDegraded writes the member degraded, unless all clusters are current.
func (w *writer) writeDegraded(d degradations) {
	if len(d) == 0 {
		return
	}
	w.Key("degraded")
	w.Open('[')
	for _, one := range d {
		w.Open('{')
		w.Text("cluster", one.cell.Name)
		if one.missing {
			w.Text("state", cellAway)
		} else {
			w.Text("state", cellBehind)
		}
		w.writeInstant("as_of", one.asOf)
		w.Text("reason", one.reason)
		w.Close('}')
	}
	w.Close(']')
}

// cellView is the view of a cluster in a merged answer.
type cellView struct {
	Cell
	*timedView
}

// currentState returns the view of the caller's scope in the cell.
func (cell *Cell) currentState(ctx context.Context) (*live.State, error) {
	if cell.API == nil {
		return nil, cell.Unavailable()
	}
	return cell.API.requestState(access.InCluster(ctx, cell.Name), nil)
}

// loadViews returns the view of each cluster for a request. It returns an error if the request itself is refused, if the revision
// that it waits for does not come, or if no cluster has an answer.
func (g *Gateway) loadViews(c *fiber.Ctx, p params, about hostScope) ([]cellView, degradations, error) {
	ctx := c.UserContext()
	owner, err := g.waitOwner(c)
	if err != nil {
		return nil, nil, err
	}
	cells := g.Visible(ctx)
	views, errs := make([]*timedView, len(cells)), make([]error, len(cells))
	var loading sync.WaitGroup
	for i, cell := range cells {
		own := p
		if cell.Name != owner {
			own = p.without("wait")
		}
		loading.Go(func() {
			views[i], errs[i] = cell.loadView(access.InCluster(ctx, cell.Name), own, about)
		})
	}
	loading.Wait()
	var loaded []cellView
	var d degradations
	for i, cell := range cells {
		switch {
		case errs[i] == nil:
			loaded = append(loaded, cellView{cell, views[i]})
			d = append(d, cell.staleness(views[i].State)...)
		case cell.Name == owner, classifyError(errs[i]).Status < http.StatusInternalServerError:
			return nil, nil, errs[i] // an answer without the cell that was waited for would look like the awaited one
		default:
			d = append(d, degradation{cell: cell, missing: true, reason: classifyError(errs[i]).Text})
		}
	}
	if len(loaded) == 0 && len(cells) > 0 {
		d.setHeaders(c)
		return nil, nil, d.nothing()
	}
	return loaded, d, nil
}

// loadView returns the view of the cell for a request in its scope. It stops waiting for the past of a cluster whose etcd is not heard.
func (cell *Cell) loadView(ctx context.Context, p params, about hostScope) (*timedView, error) {
	if cell.API == nil {
		return nil, cell.Unavailable()
	}
	if _, past := p.singleValue("as_of"); past {
		feed, err := cell.API.feeds.In(access.ScopeFrom(ctx))
		if err != nil {
			return nil, &Error{http.StatusServiceUnavailable, Unavailable, "the view of your scope cannot be served at the moment; try again later", err}
		}
		bound, cancel := cells.WithPatience(ctx, feed, degradedTimeout)
		defer cancel()
		ctx = bound
	}
	return cell.API.loadView(ctx, p, about)
}

// nothing returns the error of a request that no cluster answers.
func (d degradations) nothing() error {
	text := fmt.Sprintf("no cluster answers; see /api/v1/clusters; %s: %s", d[0].cell.Name, d[0].reason)
	return &Error{Status: http.StatusServiceUnavailable, Code: Unavailable, Text: text}
}

// staleness returns the degradation of a cell whose view may be behind, none if it is current.
func (cell *Cell) staleness(s *live.State) degradations {
	if !cell.API.feeds.IsBehind() {
		return nil
	}
	return degradations{{cell: *cell, asOf: s.AsOf(), reason: "its last known view; etcd of the cluster does not answer, or serves another version"}}
}

// waitOwner returns the cluster of the revision that a request waits for, "" if it waits for none.
func (g *Gateway) waitOwner(c *fiber.Ctx) (string, error) {
	args := c.Context().QueryArgs()
	if !args.Has("wait") {
		return "", nil
	}
	text := string(args.Peek("wait"))
	visible := g.Visible(c.UserContext())
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return "", badParameter("wait", text, "a whole revision from the answer to an upload, unless the parameter cluster names its cluster; "+listNames(visible))
	}
	rev, err := events.ParseRevision(text)
	if err != nil {
		return "", badParameter("wait", text, "a revision from the answer to an upload")
	}
	for _, cell := range visible {
		if cell.API != nil && rev.SameLog(events.Revision{Epoch: cell.API.facts.Epoch, Cluster: cell.API.facts.Cluster}) {
			return cell.Name, nil
		}
	}
	return "", &Error{Status: http.StatusBadRequest, Code: ForeignRevision, Text: fmt.Sprintf("parameter wait=%q: it is of no cluster that answers", text)}
}

// without returns the parameters without one.
func (p params) without(name string) params {
	rest := make(params, len(p))
	for key, values := range p {
		if key != name {
			rest[key] = values
		}
	}
	return rest
}

// beginMerged starts the envelope of an answer over several clusters, up to the data.
func (g *Gateway) beginMerged(c *fiber.Ctx, views []cellView, d degradations, size int) *writer {
	d.setHeaders(c)
	w := g.writers.getWriter(256 + size)
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	if len(views) > 0 && views[0].past {
		w.Key("as_of")
		w.StringValue(views[0].now.Time().Format(time.RFC3339Nano))
	}
	w.writeDegraded(d)
	w.Key("data")
	return w
}

// hostInPath and gpuInPath find the host and the GPU in the path.
func hostInPath(c *fiber.Ctx) (string, func(s *live.State) bool, error) {
	id, err := pathSegment(c, "hostname")
	return fmt.Sprintf("host %q", id), func(s *live.State) bool {
		_, ok := s.AnyHost(events.HostID(id))
		return ok
	}, err
}

func gpuInPath(c *fiber.Ctx) (string, func(s *live.State) bool, error) {
	id, err := pathSegment(c, "id")
	return fmt.Sprintf("GPU %q", id), func(s *live.State) bool {
		_, ok := s.GPU(events.GPUID(id))
		return ok || history.Knows(s, events.GPUID(id))
	}, err
}

// errorText returns the text of an error for users.
func errorText(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Text
	}
	return classifyError(err).Text
}
