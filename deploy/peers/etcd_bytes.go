package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
)

// etcdBytes are the bytes of keys and values in our etcd, by what they are for. Revisions that newer ones replaced are not
// counted: they stay until etcd's next compaction.
type etcdBytes struct{ log, series, models, rest int64 }

const bytesPage = 500 // keys in one answer

// readEtcdBytes adds up the bytes of all keys that exist, through the socket of the embedded etcd.
func (r *run) readEtcdBytes(ctx context.Context) (sum etcdBytes, err error) {
	socket, err := filepath.Abs(filepath.Join(r.ours.Data, "run", "client"))
	if err != nil {
		return etcdBytes{}, err
	}
	client, err := eventlog.Config{Endpoints: "unix://" + socket}.Dial(slog.New(slog.DiscardHandler))
	if err != nil {
		return etcdBytes{}, err
	}
	defer client.Close()
	end, revision := clientv3.GetPrefixRangeEnd(eventlog.DefaultRoot), int64(0)
	for from := eventlog.DefaultRoot; from != ""; {
		page, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(bytesPage), clientv3.WithRev(revision))
		if err != nil {
			return etcdBytes{}, fmt.Errorf("adding up the bytes in etcd, from %s: %w", from, err)
		}
		for _, kv := range page.Kvs {
			*sum.kindOf(string(kv.Key)) += int64(len(kv.Key) + len(kv.Value))
		}
		if from, revision = "", page.Header.Revision; page.More {
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
	}
	return sum, nil
}

// kindOf returns the sum to which a key belongs: docs/LOG.md has the keys.
func (s *etcdBytes) kindOf(key string) *int64 {
	parts := strings.Split(strings.TrimPrefix(key, eventlog.DefaultRoot+"/"), "/")
	switch {
	case parts[0] == "queue":
		return &s.log
	case parts[0] == "projections" && len(parts) > 3 && parts[3] == "series":
		return &s.series
	case parts[0] == "projections":
		return &s.models
	}
	return &s.rest
}

// figures returns the bytes of a record in the log and in the series, with the bounds that they have there.
func (s etcdBytes) figures(name string, records int64, log, series, both bound) []figure {
	per := func(n int64) []float64 { return []float64{float64(n) / float64(records)} }
	note := fmt.Sprintf("besides, the newest values of all GPUs take %.2f", per(s.models)[0])
	return []figure{
		{Name: name + ": the log in etcd", Unit: "B/record", Ours: per(s.log), Bound: log},
		{Name: name + ": the series in etcd", Unit: "B/record", Ours: per(s.series), Bound: series},
		{Name: name + ": both", Unit: "B/record", Ours: per(s.log + s.series), Bound: both, Note: note},
	}
}
