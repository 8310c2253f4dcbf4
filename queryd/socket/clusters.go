package socket

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/live"
)

// clusters provides the live views of several clusters.
type clusters interface {
	// CheckVisible returns an error unless a caller may see a cluster.
	CheckVisible(ctx context.Context, cluster string) error
	// Feeds returns the live views that a caller sees now, and the names of the clusters that have none.
	Feeds(ctx context.Context) (feeds []ClusterFeed, away []string)
}

// ClusterFeed is the live view of a cluster, whose name is "" where there is one.
type ClusterFeed struct {
	Cluster string
	Feed    *live.Feed
}

// checkCluster refuses the request of a known client for a cluster that it may not see.
func (s *Server) checkCluster(c *fiber.Ctx, r *request) error {
	if r.cluster == "" || r.principal == nil {
		return nil
	}
	return s.cfg.Clusters.CheckVisible(c.UserContext(), r.cluster)
}

// feeds returns the live views of the caller, and the names of the clusters that have none now.
func (c *conn) feeds() (feeds []ClusterFeed, away []string, err error) {
	if c.server.cfg.Clusters == nil {
		feed, err := c.server.feeds.In(access.ScopeFrom(c.caller))
		return []ClusterFeed{{Feed: feed}}, nil, err
	}
	feeds, away = c.server.cfg.Clusters.Feeds(c.caller)
	if only := c.request.cluster; only != "" {
		feeds = slices.DeleteFunc(feeds, func(f ClusterFeed) bool { return f.Cluster != only })
		away = slices.DeleteFunc(away, func(name string) bool { return name != only })
	}
	return feeds, away, nil
}

// positions is where a subscription goes on: a token, or of several clusters an object with a token of each.
type positions struct {
	one live.Token
	in  map[string]live.Token // by cluster
}

// UnmarshalJSON decodes either form.
func (p *positions) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		return json.Unmarshal(text, &p.in)
	}
	return json.Unmarshal(text, &p.one)
}

// of returns the position in a cluster.
func (p *positions) of(cluster string) live.Token {
	if cluster == "" {
		return p.one
	}
	return p.in[cluster]
}

// subscribed is a subscription of a client. It has a stream for each cluster that is there.
type subscribed struct {
	id      string
	options live.Options
	at      positions // the last one in each cluster
}

// joinPause is the time between two looks for clusters that subscriptions lack.
const joinPause = 2 * time.Second

// join starts the streams of the clusters that a subscription lacks. A cluster that is away is looked for again.
func (s *liveSession) join(sub *subscribed) error {
	feeds, away, err := s.conn.feeds()
	if err != nil {
		return err
	}
	if len(away) > 0 {
		s.lookAgain()
	}
	for _, f := range feeds {
		if slices.ContainsFunc(s.streams, func(st *stream) bool { return st.of == sub && st.cluster == f.Cluster }) {
			continue
		}
		options := sub.options
		options.From, options.Phase = sub.at.of(f.Cluster), s.phase
		opened, err := f.Feed.Subscribe(options)
		if errors.Is(err, live.ErrClosed) && f.Cluster != "" { // it has just gone
			s.lookAgain()
			continue
		}
		if err != nil {
			return err
		}
		s.phase = opened.Phase()
		s.streams = append(s.streams, &stream{id: sub.id, of: sub, cluster: f.Cluster, from: options.From, sub: opened})
	}
	s.conn.wake.Set()
	return nil
}

// lookAgain has joinMissing look for clusters in a while.
func (s *liveSession) lookAgain() {
	if s.look == nil {
		s.lookAt = time.Now().Add(joinPause)
		s.look = time.AfterFunc(joinPause, s.conn.wake.Set)
	}
}

// joinMissing looks for clusters that subscriptions lack, if it is time to.
func (s *liveSession) joinMissing() {
	if s.look == nil || time.Now().Before(s.lookAt) {
		return
	}
	s.look = nil
	for _, sub := range s.subs {
		if err := s.join(sub); err != nil {
			s.closeOnEnd(err)
			return
		}
	}
}

// dropStream forgets a stream whose cluster has gone, until the cluster is back: it goes on then where it was left, or begins again.
func (s *liveSession) dropStream(st *stream) {
	st.sub.Close()
	s.streams = slices.DeleteFunc(s.streams, func(other *stream) bool { return other == st })
	s.lookAgain()
}
