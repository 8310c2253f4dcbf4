package cells

import (
	"context"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
)

// Page is a page over several clusters. Clusters holds the cluster of each item. Next is "" on the last page.
type Page[T any] struct {
	Items    []T
	Clusters []string
	Next     history.Cursor
	Failed   []Failure
}

// Telemetry returns the entries of all clusters in the order of history.Telemetry; entries of one place are in the order of the
// names of their clusters.
func Telemetry(ctx context.Context, parts []Part, q history.Query) (Page[projections.Entry], error) {
	return mergePages(parts, q, (*projections.Entry).Place, func(p Part, q history.Query) ([]projections.Entry, history.Cursor, error) {
		page, err := p.Past.Telemetry(ctx, p.State, q)
		return page.Entries, page.Next, err
	})
}

// Buckets returns the buckets of all clusters, as Telemetry returns entries.
func Buckets(ctx context.Context, parts []Part, q history.Query) (Page[history.Bucket], error) {
	return mergePages(parts, q, (*history.Bucket).Place, func(p Part, q history.Query) ([]history.Bucket, history.Cursor, error) {
		page, err := p.Past.Buckets(ctx, p.State, q)
		return page.Buckets, page.Next, err
	})
}

// source is the page of one cluster, from which items are taken.
type source[T any] struct {
	part   Part
	query  history.Query // with the cluster's own cursor
	items  []T
	next   history.Cursor
	taken  int
	ended  bool // the cluster had nothing more before this page
	failed bool
}

// mergePages takes the items of a page from a page of each cluster. Each is as long as the whole: all may be of one cluster.
func mergePages[T any](parts []Part, q history.Query, placeOf func(*T) projections.Place,
	read func(p Part, q history.Query) ([]T, history.Cursor, error)) (page Page[T], err error) {
	at, err := decodeCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	sources := make([]source[T], len(parts))
	errs := readAll(parts, func(i int) (err error) {
		own, known := at[parts[i].Cluster]
		s := source[T]{part: parts[i], query: q, ended: known && own == ""}
		if s.query.Cursor = own; !s.ended {
			s.items, s.next, err = read(s.part, s.query)
		}
		s.failed = err != nil
		sources[i] = s
		return err
	})
	if page.Failed, err = sortErrors(parts, errs); err != nil {
		return page, err
	}
	for len(page.Items) < q.Limit {
		s := firstSource(sources, q.Oldest, placeOf)
		if s == nil {
			break
		}
		page.Items, page.Clusters = append(page.Items, s.items[s.taken]), append(page.Clusters, s.part.Cluster)
		s.taken++
	}
	page.Next, err = nextCursor(sources, at, page.Items, placeOf)
	return page, err
}

// firstSource returns the source whose next item comes first, nil if none has one.
func firstSource[T any](sources []source[T], oldest bool, placeOf func(*T) projections.Place) (first *source[T]) {
	var place projections.Place
	for i := range sources {
		s := &sources[i]
		if s.taken == len(s.items) {
			continue
		}
		own := placeOf(&s.items[s.taken])
		if order := own.Compare(place); first == nil || order != 0 && (order < 0) == oldest {
			first, place = s, own
		}
	}
	return first
}

// nextCursor returns the cursor behind the items that were taken. Clusters that failed stay where they are, and do not make a further
// page alone: while they are away it would be empty.
func nextCursor[T any](sources []source[T], at map[string]history.Cursor, taken []T, placeOf func(*T) projections.Place) (history.Cursor, error) {
	next, more := make(map[string]history.Cursor, len(sources)), false
	for i := range sources {
		s := &sources[i]
		name := s.part.Cluster
		own, known := at[name]
		switch {
		case s.failed || s.ended:
		case s.taken == len(s.items):
			own, known = s.next, true
			more = more || own != ""
		default:
			var err error
			if own, err = s.positionBehind(taken, placeOf); err != nil {
				return "", err
			}
			known, more = own != "", true
		}
		if known {
			next[name] = own
		}
	}
	if !more {
		return "", nil
	}
	return encodeCursor(next), nil
}

// positionBehind returns the position in a cluster with further items behind everything that was taken: behind its own last item, or
// behind another cluster's, so that what arrives meanwhile before that is on no page. It is "" at the beginning.
func (s *source[T]) positionBehind(taken []T, placeOf func(*T) projections.Place) (history.Cursor, error) {
	behind := placeOf(&taken[len(taken)-1])
	if behind.Compare(placeOf(&s.items[s.taken])) == 0 { // the cluster has an item of this place too
		if s.taken == 0 {
			return s.query.Cursor, nil
		}
		behind = placeOf(&s.items[s.taken-1])
	}
	return history.CursorAfter(s.part.State, s.query, behind)
}
