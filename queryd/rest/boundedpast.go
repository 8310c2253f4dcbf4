package rest

import (
	"context"
	"errors"
	"net/http"

	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// boundedPast reads the history of a cluster. It stops waiting for a cluster whose etcd is not heard. Its errors are answers.
type boundedPast struct {
	api  *API
	feed *live.Feed
}

// bound runs a read within the time that it may take.
func (b boundedPast) bound(ctx context.Context, read func(ctx context.Context) error) error {
	ctx, cancel := cells.WithPatience(ctx, b.feed, degradedTimeout)
	defer cancel()
	err := read(ctx)
	switch {
	case err == nil || history.IsRefusal(err):
		return err
	case errors.Is(context.Cause(ctx), cells.ErrSilent):
		return &Error{http.StatusServiceUnavailable, Unavailable, "history is read from etcd, which does not answer; the latest readings are still served, with their age", err}
	}
	return b.api.historyError(ctx, err)
}

// Telemetry returns a page of entries.
func (b boundedPast) Telemetry(ctx context.Context, s *live.State, q history.Query) (page history.Page, err error) {
	err = b.bound(ctx, func(ctx context.Context) (err error) {
		page, err = b.api.past.Telemetry(ctx, s, q)
		return err
	})
	return page, err
}

// Buckets returns a page of buckets.
func (b boundedPast) Buckets(ctx context.Context, s *live.State, q history.Query) (page history.BucketPage, err error) {
	err = b.bound(ctx, func(ctx context.Context) (err error) {
		page, err = b.api.past.Buckets(ctx, s, q)
		return err
	})
	return page, err
}

// Groups returns the series of groups.
func (b boundedPast) Groups(ctx context.Context, s *live.State, q history.Query, by history.Grouping) (all []history.GroupSeries, err error) {
	err = b.bound(ctx, func(ctx context.Context) (err error) {
		all, err = b.api.past.Groups(ctx, s, q, by)
		return err
	})
	return all, err
}

// Columns yields series.
func (b boundedPast) Columns(ctx context.Context, s *live.State, q history.Query, yield func([]history.Series) error) (next history.Cursor, err error) {
	err = b.bound(ctx, func(ctx context.Context) (err error) {
		next, err = b.api.past.Columns(ctx, s, q, yield)
		return err
	})
	return next, err
}
