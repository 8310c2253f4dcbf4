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
func awaitVisible(ctx context.Context, client *http.Client, base string, rev events.Revision, late func(error)) error {
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

// Entries of a page of history.
const (
	wholePage = 5000
	smallPage = 500 // for many cursors
)

// history reads all pages of history of a queryd.
func history(ctx context.Context, client *http.Client, revision, base string) ([]entry, error) {
	var all []entry
	for cursor := ""; ; {
		page, next, err := historyPage(ctx, client, base, revision, cursor, wholePage)
		if err != nil {
			return all, err
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		cursor = next
	}
}

// historyPage reads one page of history, at a revision or later where one is named, and returns where the next one starts.
func historyPage(ctx context.Context, client *http.Client, base, revision, cursor string, limit int) (page []entry, next string, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, value := range map[string]string{"cursor": cursor, "wait": revision} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if next, err = getData(ctx, client, base+"/api/v1/telemetry?"+query.Encode(), &page); err != nil {
		return nil, "", fmt.Errorf("reading history of %s: %w", base, err)
	}
	return page, next, nil
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
		client := c.secrets.newClient("admin", 2*time.Second)
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
