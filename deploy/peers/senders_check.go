package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
	"telemetry-pipeline/events/wait"
)

const (
	comparedGPUs  = 4
	visibleWithin = 2 * time.Minute
	agePause      = 100 * time.Millisecond
	ageFrom       = 3 * time.Second // of the first readings, of GPUs never seen
)

// compareRaw compares all readings of some GPUs on both servers, from two instants on for a time: they got the same
// bodies at different times. It waits until our server shows everything.
func (r *run) compareRaw(ctx context.Context, gpus *fleet.Fleet, ourStart, theirStart time.Time, during time.Duration) error {
	if during < time.Second {
		return fmt.Errorf("only %s of the load reached both servers", during)
	}
	if err := r.theirs.flush(ctx, r.client); err != nil {
		return err
	}
	for i := range comparedGPUs {
		gpu := gpus.GPU(i * 1237).UUID
		selector := fmt.Sprintf(`{UUID="%s"}`, gpu)
		if err := r.awaitEqual(ctx, gpu, ourStart, selector, theirStart, during); err != nil {
			return fmt.Errorf("%s: %w", gpu, err)
		}
	}
	return nil
}

// awaitEqual waits until the readings of a GPU on both servers are equal: neither shows everything at once.
func (r *run) awaitEqual(ctx context.Context, gpu string, ourStart time.Time, selector string, theirStart time.Time, during time.Duration) error {
	ourURL := r.ours.Queries + "/api/v1/gpus/" + gpu + "/telemetry?" + url.Values{
		"start_time": {ourStart.Format(time.RFC3339Nano)}, "end_time": {ourStart.Add(during - time.Millisecond).Format(time.RFC3339Nano)}, "format": {"csv"},
	}.Encode()
	theirURL := r.theirs.address + "/api/v1/export?" + url.Values{
		"match[]": {selector}, "start": {seconds(theirStart)}, "end": {seconds(theirStart.Add(during - time.Millisecond))},
	}.Encode()
	for began := time.Now(); ; {
		err := r.compareURLs(ctx, ourURL, ourStart, theirURL, theirStart)
		if err == nil || time.Since(began) > visibleWithin || !wait.Sleep(ctx, 500*time.Millisecond) {
			return err
		}
	}
}

// compareURLs compares our CSV with the peer's export, with times counted from two instants.
func (r *run) compareURLs(ctx context.Context, ourURL string, ourStart time.Time, theirURL string, theirStart time.Time) error {
	text, err := r.client.Get(ctx, ourURL)
	if err != nil {
		return err
	}
	ours := answer{}
	if err := parseCSV(text, ours); err != nil {
		return err
	}
	if text, err = r.client.Get(ctx, theirURL); err != nil {
		return err
	}
	theirs, err := parseExport(text)
	if err != nil {
		return err
	}
	return compareAnswers(ours.shifted(ourStart), theirs.shifted(theirStart), exactly)
}

// shifted returns the answer with times counted from an instant.
func (a answer) shifted(from time.Time) answer {
	out := answer{}
	for s, value := range a {
		s.at -= from.UnixMilli()
		out[s] = value
	}
	return out
}

// watchAge asks for the latest reading of one GPU after the other until ctx ends, and returns how old they were, in
// seconds.
func (r *run) watchAge(ctx context.Context, gpus *fleet.Fleet) (ages []float64) {
	client := measure.NewClient(1)
	began := time.Now()
	for i := 0; wait.Sleep(ctx, agePause); i++ {
		var body struct {
			Data []struct {
				Timestamp time.Time `json:"timestamp"`
			} `json:"data"`
		}
		address := r.ours.Queries + "/api/v1/telemetry/latest?gpu_id=" + gpus.GPU(i*1237).UUID
		if err := client.GetJSON(ctx, address, &body); err != nil || len(body.Data) == 0 {
			if ctx.Err() == nil && time.Since(began) > ageFrom {
				ages = append(ages, time.Since(began).Seconds()) // not shown at all
			}
			continue
		}
		if time.Since(began) > ageFrom {
			ages = append(ages, time.Since(body.Data[0].Timestamp).Seconds())
		}
	}
	return ages
}
