package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// stuck is a history whose store does not answer; with err it fails at once.
type stuck struct{ err error }

func (s stuck) wait(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s stuck) Telemetry(ctx context.Context, _ *live.State, _ history.Query) (history.Page, error) {
	return history.Page{}, s.wait(ctx)
}

func (s stuck) AsOf(ctx context.Context, _ *live.State, _ events.Timestamp, _ []events.HostID) (*live.State, error) {
	return nil, s.wait(ctx)
}

func (s stuck) Buckets(ctx context.Context, _ *live.State, _ history.Query) (history.BucketPage, error) {
	return history.BucketPage{}, s.wait(ctx)
}

// away is a view that has lost etcd.
type away struct{ feeds }

func (away) IsBehind() bool { return true }

func TestUnavailableHistoryIsReportedAndNotBlamedOnTheDocument(t *testing.T) {
	for name, c := range map[string]struct {
		away, slow bool
		store      stuck
		says       string
	}{
		"etcd is known to be away": {true, false, stuck{}, "does not answer"},
		"slow":                     {false, true, stuck{}, "took too long"},
		"broken":                   {false, false, stuck{errors.New("inner text")}, "try again"},
		"an object is missing":     {false, false, stuck{fmt.Errorf("reading: %w", history.ErrArchive)}, "collectd archive check"},
	} {
		w := newWorld(t)
		w.engine.past, w.engine.degradedTimeout = c.store, time.Millisecond
		if c.away {
			w.engine.feeds = away{w.engine.feeds}
		}
		for _, query := range []string{
			`{telemetry(limit:1){count}}`, `{telemetry(step:"1h"){count}}`, `{cluster(asOf:"now-1h"){gpuCount}}`,
			`{gpus{telemetry(limit:1){count}}}`,
		} {
			ctx, cancel := context.WithCancel(everybody(t))
			if c.slow { // no other case takes all the available time
				ctx, cancel = context.WithTimeout(everybody(t), 50*time.Millisecond)
			}
			r := w.engine.Execute(ctx, Request{Query: query})
			cancel()
			if !r.Unanswered || !strings.Contains(string(r.JSON), c.says) || strings.Contains(string(r.JSON), "context") || strings.Contains(string(r.JSON), "inner") {
				t.Errorf("%s: %s\ngot %s, want an error of ours that says %q", name, query, r.JSON, c.says)
			}
		}
		if r := w.engine.Execute(everybody(t), Request{Query: `{cluster{gpuCount}}`}); r.Refused || r.Unanswered {
			t.Errorf("%s: the latest readings: %s", name, r.JSON)
		}
	}
}
