package cells

import (
	"context"

	"telemetry-pipeline/queryd/history"
)

// Columns calls yield with the series of one cluster after the other, as history.Columns does for one: the answer ends with the host
// that reaches q.Limit points, and the cursor continues behind it. An error of yield ends it. A cluster that fails is left out; what
// it has yielded before that stays.
func Columns(ctx context.Context, parts []Part, q history.Query, yield func(cluster string, all []history.Series) error) (next history.Cursor, failed []Failure, err error) {
	at, err := decodeCursor(q.Cursor)
	if err != nil {
		return "", nil, err
	}
	left := q.Limit
	for i, p := range parts {
		own, known := at[p.Cluster]
		if known && own == "" {
			continue
		}
		if left <= 0 {
			return encodeCursor(at), failed, nil
		}
		q.Cursor, q.Limit = own, left
		var stopped error
		rest, err := p.Past.Columns(ctx, p.State, q, func(all []history.Series) error {
			for j := range all {
				left -= all[j].Points()
			}
			stopped = yield(p.Cluster, all)
			return stopped
		})
		switch {
		case stopped != nil:
			return "", nil, stopped
		case err != nil && (history.IsRefusal(err) || len(failed) == i && i == len(parts)-1):
			return "", nil, err
		case err != nil:
			failed = append(failed, Failure{p.Cluster, err})
		}
		at[p.Cluster] = rest
		if rest != "" {
			return encodeCursor(at), failed, nil
		}
	}
	return "", failed, nil
}

// Group is a series of a group. Cluster is "" where the group has members of several clusters.
type Group struct {
	Cluster string
	history.GroupSeries
}

// Groups returns the groups of all clusters. Hosts, and clusters as groups, are of one cluster each: they come by cluster. Groups
// by model or label are joined over all clusters.
func Groups(ctx context.Context, parts []Part, q history.Query, by history.Grouping) (all []Group, failed []Failure, err error) {
	found := make([][]history.GroupSeries, len(parts))
	errs := readAll(parts, func(i int) (err error) {
		found[i], err = parts[i].Past.Groups(ctx, parts[i].State, q, by)
		return err
	})
	if failed, err = sortErrors(parts, errs); err != nil {
		return nil, nil, err
	}
	if by.By == history.ByHost || by.By == history.ByCluster {
		points := 0
		for i, series := range found {
			for _, s := range series {
				if points += len(s.Starts); points > q.Limit {
					return nil, nil, history.ErrPoints
				}
				all = append(all, Group{parts[i].Cluster, s})
			}
		}
		return all, failed, nil
	}
	merged, err := history.MergeGroups(q.Limit, found...)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range merged {
		all = append(all, Group{"", s})
	}
	return all, failed, nil
}
