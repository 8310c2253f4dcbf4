package graph

import (
	"strings"
	"sync"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live"
)

// maxMoments bounds how many fields of one operation may ask for the past.
const maxMoments = 8

// moments are the views of those fields at the top that ask for the past, by the name that each has in the answer.
// What is below such a field is answered from its view.
type moments struct {
	mu    sync.Mutex
	views map[any]view // guarded by mu
}

// of gives the view of what is at a path.
func (m *moments) of(path *graphql.ResponsePath) (view, bool) {
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

// asOfArg is the argument of fields that can be asked for the past.
func asOfArg(t *types) graphql.FieldConfigArgument {
	return graphql.FieldConfigArgument{
		"asOf": {
			Type: t.dateTime,
			Description: "the state from the records up to this time: RFC 3339, or relative such as now-5m; " +
				"status is what it was then, history below it is all there is",
		},
	}
}

// asOf makes a resolver answer from the past where its field asks for that. about tells which hosts the field is about;
// nil and none are all.
func (e *Engine) asOf(resolve resolver, about func(s *live.State, p graphql.ResolveParams) []events.HostID) resolver {
	return func(p graphql.ResolveParams) (any, error) {
		at, given, err := instant(p, "asOf")
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
	now := current(p)
	m := now.moments
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.views) == maxMoments {
		return badInput("asOf: an operation may ask for the past at most %d times", maxMoments)
	}
	var only []events.HostID
	if about != nil {
		only = about(now.state, p)
	}
	ctx, cancel := e.patience(p.Context)
	defer cancel()
	then, err := e.past.AsOf(ctx, now.state, at, only)
	if err != nil {
		return e.explain(ctx, err)
	}
	past := now
	past.state, past.now = then, at.Time()
	m.views[p.Info.Path.Key] = past
	return nil
}

// namedHost and ownGPU tell which hosts a field with such an argument is about.
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
	hosts := []events.HostID{""} // one that is not there, so that an unknown GPU is not about all
	if g, ok := s.GPU(events.GPUID(id)); ok {
		hosts = append(hosts, g.Hosts...)
	}
	if colon := strings.LastIndexByte(id, ':'); colon > 0 {
		hosts = append(hosts, events.HostID(id[:colon]))
	}
	return hosts
}
