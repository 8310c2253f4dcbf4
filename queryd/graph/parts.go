package graph

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/live"
)

// Cluster is one of several clusters, as the caller of a request sees it.
type Cluster struct {
	Name   string
	State  string // current, behind or away
	Reason string // of behind and away
	Since  time.Time
	Feed   *live.Feed // of the caller's scope; nil while nothing is known of the cluster
	Past   clusterPast
}

// clusterPast reads the history of one of several clusters (history.History).
type clusterPast interface {
	past
	cells.Past
}

// clusterSource provides the clusters that the caller of a request may see, sorted by name. It never waits.
type clusterSource interface {
	Clusters(ctx context.Context) []Cluster
}

// parts are the views of several clusters.
type parts struct {
	selected string       // the one cluster that the request is about, "" for all
	views    []view       // each of one cluster
	names    []string     // of all clusters that the caller may see, also of those without a view
	last     atomic.Int64 // index of the view in which an object was found last: lists are in the order of their clusters
}

// openParts returns the view of a request over several clusters, and an error to answer with if none of them has one.
func (e *Engine) openParts(ctx context.Context, cluster string) (view, error) {
	root := e.newView(nil)
	root.origin = &origin{parts: &parts{selected: cluster}, missing: &missing{}}
	for _, c := range e.clustersOf(ctx, cluster) {
		root.parts.names = append(root.parts.names, c.Name)
		if c.State != "current" {
			root.missing.addCluster(c.Name, c.State, c.Reason)
		}
		if c.Feed == nil {
			continue
		}
		part := root
		part.state = c.Feed.State()
		part.origin = &origin{past: boundedPast{c.Past, c.Feed, e.degradedTimeout}, cluster: c.Name, missing: root.missing}
		root.parts.views = append(root.parts.views, part)
	}
	if len(root.parts.views) == 0 && len(root.parts.names) > 0 {
		return root, &unansweredError{"no cluster answers; try again in a moment, and see the field clusters, or /api/v1/clusters, for the reasons"}
	}
	return root, nil
}

// clustersOf returns the clusters that the caller of a request may see, or the selected one of them.
func (e *Engine) clustersOf(ctx context.Context, selected string) []Cluster {
	all := e.several.Clusters(ctx)
	if selected == "" {
		return all
	}
	var one []Cluster
	for _, c := range all {
		if c.Name == selected {
			one = append(one, c)
		}
	}
	return one
}

// states returns the states of a view: one, or one of each cluster.
func (v view) states() []*live.State {
	if v.parts == nil {
		return []*live.State{v.state}
	}
	all := make([]*live.State, len(v.parts.views))
	for i := range v.parts.views {
		all[i] = v.parts.views[i].state
	}
	return all
}

// sizes returns the numbers of objects in the lists of a view.
func (v view) sizes() (all sizes) {
	for _, s := range v.states() {
		all.hosts, all.gpus = all.hosts+s.CountHosts(), all.gpus+s.CountGPUs()
	}
	return all
}

// find returns the view of a cluster.
func (p *parts) find(cluster string) (view, bool) {
	i := slices.IndexFunc(p.views, func(v view) bool { return v.cluster == cluster })
	if i < 0 {
		return view{}, false
	}
	return p.views[i], true
}

// ownerOf returns the view that an object of a list is from, otherwise the view of all.
func (p *parts) ownerOf(source any, otherwise view) view {
	var in func(s *live.State) bool
	switch object := source.(type) {
	case *live.Host:
		in = func(s *live.State) bool { h, _ := s.AnyHost(object.ID); return h == object }
	case *projections.GPU:
		in = func(s *live.State) bool { g, _ := s.GPU(object.ID); return g == object }
	default:
		return otherwise
	}
	first := int(p.last.Load())
	for i := range p.views {
		at := (first + i) % len(p.views)
		if in(p.views[at].state) {
			p.last.Store(int64(at))
			return p.views[at]
		}
	}
	return otherwise
}

// inCluster makes a resolver of a root field answer from the cluster that its field names.
func (e *Engine) inCluster(resolve resolver) resolver {
	if e.several == nil {
		return resolve
	}
	return func(p graphql.ResolveParams) (any, error) {
		name, given := p.Args["cluster"].(string)
		if !given {
			return resolve(p)
		}
		v := currentView(p)
		part, ok := v.parts.find(name)
		switch {
		case ok:
			v.pastViews.set(p.Info.Path.Key, part)
			return resolve(p)
		case slices.Contains(v.parts.names, name):
			return nil, &unansweredError{"cluster " + name + " is away and nothing is known of it yet; try again in a moment"}
		default:
			return nil, unknownCluster(name, v.parts.names)
		}
	}
}

// unknownCluster refuses a name. A cluster that the caller may not see is unknown.
func unknownCluster(name string, known []string) error {
	if len(known) == 0 {
		return badInput("cluster: there is no %q; there are none for you", name)
	}
	return badInput("cluster: there is no %q; there are: %s", name, strings.Join(known, ", "))
}

// clusterArg adds the argument cluster, where there are several.
func (e *Engine) clusterArg(args graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	if e.several != nil {
		args["cluster"] = &graphql.ArgumentConfig{Type: graphql.String, Description: "only of this cluster; of all when left out"}
	}
	return args
}

// missing collects what an answer of several clusters lacks, or has of a last known view. addTo may be called on nil.
type missing struct {
	mu  sync.Mutex
	all []missingCluster // guarded by mu
}

type missingCluster struct {
	Cluster string `json:"cluster"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
}

// addCluster notes a cluster, once.
func (m *missing) addCluster(cluster, state, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.all {
		if m.all[i].Cluster == cluster {
			return
		}
	}
	m.all = append(m.all, missingCluster{cluster, state, reason})
}

// addTo adds the member degraded to the extensions of an answer, if a cluster is not current in it.
func (m *missing) addTo(r *graphql.Result) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.all) > 0 {
		r.Extensions = map[string]any{"degraded": m.all}
	}
}

// timestamp returns the instant of a view.
func (v view) timestamp() events.Timestamp { return events.TimestampOf(v.now) }
