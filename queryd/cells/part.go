package cells

import (
	"context"
	"sync"

	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// Past reads the history of one cluster (history.History).
type Past interface {
	Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error)
	Buckets(ctx context.Context, s *live.State, q history.Query) (history.BucketPage, error)
	Groups(ctx context.Context, s *live.State, q history.Query, by history.Grouping) ([]history.GroupSeries, error)
	Columns(ctx context.Context, s *live.State, q history.Query, yield func([]history.Series) error) (history.Cursor, error)
}

// Part is one cluster's part of a query. Names of clusters are unique and in the form that CheckName takes.
type Part struct {
	Cluster string
	State   *live.State
	Past    Past
}

// Failure is a cluster that could not answer, and why.
type Failure struct {
	Cluster string
	Err     error
}

// mostReads bounds the clusters that are read at once for one query.
const mostReads = 8

// readAll calls read for each part, some at once, and returns the errors by the index of their part.
func readAll(parts []Part, read func(i int) error) []error {
	errs := make([]error, len(parts))
	slots := make(chan struct{}, mostReads)
	var running sync.WaitGroup
	for i := range parts {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			errs[i] = read(i)
		})
	}
	running.Wait()
	return errs
}

// sortErrors returns the clusters that failed. It returns an error if the query itself is refused, or if no cluster answered.
func sortErrors(parts []Part, errs []error) (failed []Failure, err error) {
	for i, e := range errs {
		if e == nil {
			continue
		}
		if history.IsRefusal(e) {
			return nil, e
		}
		failed = append(failed, Failure{parts[i].Cluster, e})
	}
	if len(failed) > 0 && len(failed) == len(parts) {
		return nil, failed[0].Err
	}
	return failed, nil
}
