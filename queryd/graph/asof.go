package graph

import (
	"sync"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// maxPastViews bounds the number of fields of one operation that may ask for the past.
const maxPastViews = 8

// pastViews holds the views of the root fields that ask for the past, by their name in the answer. The fields below
// such a field are resolved from its view.
type pastViews struct {
	mu    sync.Mutex
	views map[any]view // guarded by mu
	asked int          // fields that asked for the past; guarded by mu
}

// set makes a view the view of a root field.
func (m *pastViews) set(key any, v view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.views[key] = v
}

// viewOf returns the view for the field at a path, if it is of the past.
func (m *pastViews) viewOf(path *graphql.ResponsePath) (view, bool) {
	if m == nil || path == nil {
		return view{}, false
	}
	for path.Prev != nil {
		path = path.Prev
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.views[path.Key]
	return v, ok
}

// asOfArg returns the argument of fields that can be asked for the past.
func asOfArg(t *types) graphql.FieldConfigArgument {
	return graphql.FieldConfigArgument{
		"asOf": {
			Type: t.dateTime,
			Description: "the state from the records up to this time: RFC 3339, or relative such as now-5m; " +
				"status is what it was then, history below it is all there is",
		},
	}
}

// asOf makes a resolver answer from the past if its field asks for that. about returns the hosts that the field
// needs; nil, and an empty list, mean all.
func (e *Engine) asOf(resolve resolver, about func(s *live.State, p graphql.ResolveParams) []events.HostID) resolver {
	return func(p graphql.ResolveParams) (any, error) {
		at, given, err := timeArg(p, "asOf")
		if err != nil {
			return nil, err
		}
		if given {
			if err := e.goBack(p, at, about); err != nil {
				return nil, err
			}
		}
		return resolve(p)
	}
}

func (e *Engine) goBack(p graphql.ResolveParams, at events.Timestamp, about func(s *live.State, p graphql.ResolveParams) []events.HostID) error {
	now := currentView(p)
	m := now.pastViews
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked == maxPastViews {
		return badInput("asOf: an operation may ask for the past at most %d times", maxPastViews)
	}
	m.asked++
	only := func(s *live.State) []events.HostID {
		if about == nil {
			return nil
		}
		return about(s, p)
	}
	past := now
	if part, named := m.views[p.Info.Path.Key]; named {
		past = part
	}
	past.now = at.Time()
	ctx, cancel := e.historyContext(p.Context)
	defer cancel()
	var err error
	if past.parts != nil {
		past, err = e.restoreParts(ctx, past, at, only)
	} else {
		past.state, err = past.past.AsOf(ctx, past.state, at, only(past.state))
	}
	if err != nil {
		return e.historyError(ctx, err)
	}
	m.views[p.Info.Path.Key] = past
	return nil
}

// namedHost and ownGPU return the hosts that a field with such an argument needs.
func namedHost(arg string) func(*live.State, graphql.ResolveParams) []events.HostID {
	return func(_ *live.State, p graphql.ResolveParams) []events.HostID {
		if name, given := p.Args[arg].(string); given {
			return []events.HostID{events.HostID(name)}
		}
		return nil
	}
}

func ownGPU(s *live.State, p graphql.ResolveParams) []events.HostID {
	id, _ := p.Args["id"].(string)
	if hosts := s.OnHosts().HostsNaming(events.GPUID(id)); len(hosts) > 0 { // by namespace also of a GPU that it had then
		return hosts
	}
	return []events.HostID{""} // a host that does not exist: an unknown GPU does not mean all hosts
}
