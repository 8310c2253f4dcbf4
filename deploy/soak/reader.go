package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

// reader asks questions beside the stream, so that what they leave behind shows too.
type reader struct {
	server   *measure.Standalone
	client   *measure.Client
	gpus     *fleet.Fleet
	from, to time.Time // of the stream's readings

	answered int
	failure  error // of the first question without an answer
}

// askAll asks each question in turn, one each second, until ctx ends.
func (r *reader) askAll(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	questions := []func(context.Context, string) error{r.listGPUs, r.queryLists, r.readHistory, r.readGroups, r.follow}
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := questions[i%len(questions)](ctx, r.gpus.GPU(i).UUID)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			r.answered++
		case r.failure == nil:
			r.failure = err
		}
	}
}

func (r *reader) listGPUs(ctx context.Context, _ string) error {
	_, err := r.client.Get(ctx, r.server.Queries+"/api/v1/gpus")
	return err
}

func (r *reader) queryLists(ctx context.Context, _ string) error {
	_, err := r.client.Post(ctx, r.server.Queries+"/graphql", "application/json", strings.NewReader(`{"query":"{gpus{id metrics}}"}`))
	return err
}

// readHistory reads averages of one GPU, most of which are in the archive.
func (r *reader) readHistory(ctx context.Context, gpu string) error {
	_, err := r.client.Get(ctx, r.server.Queries+"/api/v1/gpus/"+gpu+"/telemetry?"+r.averages().Encode())
	return err
}

// readGroups reads averages of the whole fleet.
func (r *reader) readGroups(ctx context.Context, _ string) error {
	v := r.averages()
	v.Set("metric", "DCGM_FI_DEV_GPU_UTIL")
	v.Set("form", "columns")
	v.Set("group", "cluster")
	_, err := r.client.Get(ctx, r.server.Queries+"/api/v1/telemetry?"+v.Encode())
	return err
}

func (r *reader) averages() url.Values {
	return url.Values{
		"start_time": {r.from.Format(time.RFC3339)}, "end_time": {r.to.Format(time.RFC3339)}, "step": {"1h"}, "agg": {"avg"}, "order": {"asc"},
	}
}

// follow subscribes to one GPU and leaves once it has the first snapshot.
func (r *reader) follow(ctx context.Context, gpu string) error {
	conn, err := measure.FollowGPU(ctx, r.server.Queries, gpu)
	if err != nil {
		return err
	}
	defer conn.Close()
	for err := conn.SetReadDeadline(time.Now().Add(time.Minute)); ; {
		if err != nil {
			return err
		}
		var text []byte
		if _, text, err = conn.ReadMessage(); err == nil && bytes.HasPrefix(text, []byte(`{"t":"synced"`)) {
			return nil
		}
		if bytes.HasPrefix(text, []byte(`{"t":"err"`)) {
			return fmt.Errorf("following %s: %s", gpu, text)
		}
	}
}
