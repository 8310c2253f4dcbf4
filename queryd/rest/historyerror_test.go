package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"telemetry-pipeline/queryd/history"
)

// hearingFeeds is on terms with etcd.
type hearingFeeds struct{ feeds }

func (hearingFeeds) IsBehind() bool { return false }

// A read of history that ends with its request is no failure inside: the client has to know whether to come again.
func TestHistoryThatIsCutShortIsNoInternalError(t *testing.T) {
	a := &API{feeds: hearingFeeds{}}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	unclear := errors.New("etcd has its own words")
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"out of time":                {late, late.Err(), http.StatusGatewayTimeout},
		"out of time, by etcd":       {late, unclear, http.StatusGatewayTimeout},
		"the server stops":           {stopped, stopped.Err(), http.StatusServiceUnavailable},
		"the server stops, by etcd":  {stopped, unclear, http.StatusServiceUnavailable},
		"etcd fails":                 {t.Context(), unclear, http.StatusServiceUnavailable},
		"a cursor of another query":  {t.Context(), fmt.Errorf("reading: %w", history.ErrCursor), http.StatusBadRequest},
		"a cursor, out of time":      {late, history.ErrCursor, http.StatusBadRequest},
		"the archive lost an object": {t.Context(), history.ErrArchive, http.StatusServiceUnavailable},
	} {
		if got := classifyError(a.historyError(c.ctx, c.err)); got.Status != c.want {
			t.Errorf("%s: status %d, want %d", name, got.Status, c.want)
		}
	}
}
