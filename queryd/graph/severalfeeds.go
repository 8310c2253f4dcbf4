package graph

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/graphql-go/graphql"

	"telemetry-pipeline/events/wait"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/live"
)

// joinPause is the time between two looks for clusters that a subscription lacks.
const joinPause = 2 * time.Second

// subscribeToSeveral is Subscribe over several clusters, or one of them by the argument cluster. Each result is of one cluster. A
// cluster that is away has no results, and joins when it is back: it goes on where it was left, or begins with a snapshot.
func (e *Engine) subscribeToSeveral(ctx context.Context, req Request) (iter.Seq[[]byte], *Result) {
	root, _ := e.openParts(ctx, req.Cluster) // without a view there are no results yet
	doc, op, err := e.guard.admitRequest(req, root.sizes())
	if err == nil && op.Operation != "subscription" {
		err = badRequest("not a subscription: send queries as such")
	}
	if err != nil {
		return nil, &Result{JSON: refusalJSON(err), Refused: true}
	}
	run := func(s *step) *graphql.Result {
		v := e.newView(nil)
		v.origin = &origin{parts: &parts{selected: req.Cluster}}
		return e.run(context.WithValue(ctx, stepKey{}, s), v, doc, req)
	}
	// The first execution has no message: it resolves the arguments, and finds errors in them.
	first := &step{options: &live.Options{Snapshot: true}}
	if refused := run(first); refused.HasErrors() {
		return nil, &Result{JSON: e.encodeResult(refused), Refused: true}
	}
	s := &severalFeeds{engine: e, options: *first.options, cluster: cmp.Or(first.cluster, req.Cluster)}
	if s.tokens, err = cells.DecodeTokens(first.options.From); err != nil {
		s.tokens = map[string]live.Token{} // as for one cluster, a token that is none leads to a snapshot
	}
	if first.cluster != "" && !slices.Contains(root.parts.names, first.cluster) {
		return nil, &Result{JSON: refusalJSON(unknownCluster(first.cluster, root.parts.names)), Refused: true}
	}
	s.options.Wake = wait.NewSignal()
	if err := s.join(ctx); err != nil {
		return nil, &Result{JSON: refusalJSON(err), Refused: true}
	}
	return func(yield func([]byte) bool) {
		defer s.close()
		err := s.follow(ctx, func(u *update) bool {
			return e.pushResult(ctx, u.Message, func() *graphql.Result { return run(&step{update: u}) }, yield)
		})
		if err != nil && ctx.Err() == nil {
			yield(refusalJSON(err))
		}
	}, nil
}

// severalFeeds is a subscription to the feeds of several clusters. Only its reader uses it.
type severalFeeds struct {
	engine  *Engine
	options live.Options
	cluster string // "" for all
	legs    []feedLeg
	tokens  map[string]live.Token // the last position in each cluster
}

// feedLeg is the subscription to one cluster.
type feedLeg struct {
	cluster string
	sub     *live.Subscription
}

// join subscribes to the clusters that the subscription lacks.
func (s *severalFeeds) join(ctx context.Context) error {
	for _, c := range s.engine.several.Clusters(ctx) {
		joined := slices.ContainsFunc(s.legs, func(l feedLeg) bool { return l.cluster == c.Name })
		if c.Feed == nil || joined || s.cluster != "" && s.cluster != c.Name {
			continue
		}
		options := s.options
		options.From = s.tokens[c.Name]
		sub, err := c.Feed.Subscribe(options)
		if errors.Is(err, live.ErrClosed) {
			continue // the cluster has just gone
		}
		if err != nil {
			return err
		}
		s.legs = append(s.legs, feedLeg{c.Name, sub})
		s.options.Wake.Set()
	}
	return nil
}

// follow calls yield with each message that carries readings, until yield returns false, ctx ends or the reader is too slow.
func (s *severalFeeds) follow(ctx context.Context, yield func(*update) bool) error {
	look := time.NewTicker(joinPause)
	defer look.Stop()
	for {
		more, err := s.pollLegs(yield)
		if err != nil || !more {
			return err
		}
		select {
		case <-s.options.Wake.C():
		case <-look.C:
			if err := s.join(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// pollLegs takes what there is of every cluster, one message each in turn. It returns false when yield did.
func (s *severalFeeds) pollLegs(yield func(*update) bool) (more bool, err error) {
	for found := true; found; {
		found = false
		for i := 0; i < len(s.legs); i++ {
			leg := s.legs[i]
			m, err := leg.sub.Poll()
			switch {
			case errors.Is(err, live.ErrClosed): // its hub ended: another log has taken the place of the cluster's
				leg.sub.Close()
				s.legs = slices.Delete(s.legs, i, i+1)
				i--
				continue
			case err != nil:
				return false, err
			case m == nil:
				continue
			}
			found = true
			if m.Token != "" {
				s.tokens[leg.cluster] = m.Token
			}
			if m.Kind != live.Snapshot && m.Kind != live.Update {
				continue
			}
			if !yield(&update{Message: m, cluster: leg.cluster, token: s.token(m)}) {
				return false, nil
			}
		}
	}
	return true, nil
}

// token returns the position behind a message, "" behind a part of a snapshot.
func (s *severalFeeds) token(m *live.Message) string {
	if m.Token == "" {
		return ""
	}
	return string(cells.EncodeTokens(s.tokens))
}

func (s *severalFeeds) close() {
	for _, leg := range s.legs {
		leg.sub.Close()
	}
}
