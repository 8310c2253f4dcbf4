package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/wait"
)

// recovery is how the cluster came to rest after the last fault.
type recovery struct {
	owners  time.Duration // until every partition had an owner that is alive
	visible map[string]time.Duration
	err     error
}

// debounce is collectd's: partition.Config.JoinDebounce by default.
const debounce = 2 * time.Second

// awaitOwners waits until every partition has an owner that is a member.
func awaitOwners(ctx context.Context, o *observer, healed time.Time) (time.Duration, error) {
	for {
		s := o.copyState()
		owned := 0
		for _, owner := range ownersAt(s.owners, -1) {
			if s.members[owner.member] {
				owned++
			}
		}
		if owned == partitions {
			return time.Since(healed), nil
		}
		if !wait.Sleep(ctx, 20*time.Millisecond) {
			return time.Since(healed), fmt.Errorf("%d of %d partitions have an owner that is a member", owned, partitions)
		}
	}
}

// awaitVisible waits until a queryd answers with everything up to rev.
func awaitVisible(ctx context.Context, base string, rev events.Revision, late func(error)) error {
	client := &http.Client{Timeout: 12 * time.Second}
	for {
		var hosts []any
		_, err := getData(ctx, client, base+"/api/v1/hosts?wait="+url.QueryEscape(rev.String()), &hosts)
		if err == nil {
			return nil
		}
		late(err)
		if !wait.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s never answered with everything up to %s: %w", base, rev, err)
		}
	}
}

// awaitSubscribers waits until every subscriber has received everything up to rev.
func awaitSubscribers(ctx context.Context, all []*subscriber, rev int64) error {
	for _, s := range all {
		for s.reached() < rev {
			if !wait.Sleep(ctx, 20*time.Millisecond) {
				return fmt.Errorf("subscriber %s has received everything up to %d, not up to %d", s.name, s.reached(), rev)
			}
		}
	}
	return nil
}

// history reads all pages of a queryd.
func history(ctx context.Context, base string) ([]entry, error) {
	client := &http.Client{Timeout: 40 * time.Second}
	var all []entry
	for cursor := ""; ; {
		var page []entry
		next, err := getData(ctx, client, base+"/api/v1/telemetry?limit=5000&cursor="+url.QueryEscape(cursor), &page)
		if err != nil {
			return all, fmt.Errorf("reading history of %s: %w", base, err)
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		cursor = next
	}
}

// queueKeys lists the keys of all events.
func queueKeys(ctx context.Context, client *clientv3.Client) ([]string, error) {
	resp, err := client.Get(ctx, root+"queue/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	var all []string
	for _, kv := range resp.Kvs {
		all = append(all, string(kv.Key))
	}
	return all, nil
}

// describeState writes the goroutines of a daemon to a file beside the logs, and returns its path.
func (c *cluster) describeState(d *daemon) string {
	path := filepath.Join(c.dir, "logs", d.name+"."+strconv.FormatInt(time.Now().Unix(), 10)+".goroutines")
	var all []byte
	for _, address := range []string{d.base + "/api/v1/status", d.admin + "/debug/pprof/goroutine?debug=2"} {
		client := http.Client{Timeout: 2 * time.Second}
		resp, err := client.Get(address)
		if err != nil {
			return err.Error()
		}
		text, _ := io.ReadAll(resp.Body) // as much as there is
		_ = resp.Body.Close()            // it was only read
		all = append(append(all, text...), '\n')
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		return err.Error()
	}
	return "what it does: " + path
}
