package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

// measureLists measures lists of all GPUs with their readings, in GraphQL beside REST and beside VictoriaMetrics.
func (r *run) measureLists(ctx context.Context) error {
	if err := r.startFresh(ctx, "lists"); err != nil {
		return err
	}
	gpus := fleet.New(r.set.listGPUs, 1)
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Minute)
	var text bytes.Buffer
	if err := gpus.WriteWide(&text, []time.Time{at}); err != nil {
		return err
	}
	if _, err := r.uploadOnce(ctx, "text/csv", text.Bytes(), int64(r.set.listGPUs*len(fleet.MetricNames()))); err != nil {
		return err
	}
	if err := errors.Join(r.theirs.importWide(ctx, r.client, text.Bytes()), r.theirs.flush(ctx, r.client)); err != nil {
		return err
	}
	asked := map[string]func() ([]byte, error){
		"graphql": func() ([]byte, error) {
			return r.client.Post(ctx, r.ours.Queries+"/graphql", "application/json", bytes.NewReader([]byte(`{"query":"{gpus{id metrics}}"}`)))
		},
		"rest": func() ([]byte, error) { return r.client.Get(ctx, r.ours.Queries+"/api/v1/telemetry/latest") },
		"peer": func() ([]byte, error) {
			return r.client.Get(ctx, r.theirs.address+"/api/v1/query?"+url.Values{
				"query": {`{__name__=~"DCGM_.*"}`}, "time": {seconds(at.Add(time.Second))}, "nocache": {"1"},
			}.Encode())
		},
	}
	if err := compareLists(asked); err != nil {
		return err
	}
	name := fmt.Sprintf("list of %d GPUs with metrics", r.set.listGPUs)
	beside := figure{Name: "GraphQL: " + name, Unit: "ms", Bound: bound{MaxRatio: 3}, Note: "the peer is our REST"}
	rest := figure{Name: "REST: " + name, Unit: "ms"}
	for range r.set.rounds {
		times := map[string]float64{}
		for _, side := range []string{"graphql", "rest", "peer"} {
			took, err := medianTime(5, func() error { _, err := asked[side](); return err })
			if err != nil {
				return err
			}
			times[side] = took
		}
		beside.add(times["graphql"], times["rest"])
		rest.add(times["rest"], times["peer"])
	}
	r.addFigures(beside, rest)
	return nil
}

// medianTime does some work several times and returns its median time in milliseconds.
func medianTime(times int, work func() error) (float64, error) {
	var all []float64
	for range times {
		began := time.Now()
		if err := work(); err != nil {
			return 0, err
		}
		all = append(all, measure.Milliseconds(time.Since(began)))
	}
	return measure.Median(all), nil
}

// compareLists compares the readings of the three lists.
func compareLists(asked map[string]func() ([]byte, error)) error {
	var lists [3]answer
	for i, side := range []string{"graphql", "rest", "peer"} {
		text, err := asked[side]()
		if err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
		if lists[i], err = parseList(text); err != nil {
			return fmt.Errorf("%s: %w", side, err)
		}
	}
	return errors.Join(compareAnswers(lists[0], lists[1], exactly), compareAnswers(lists[1], lists[2], exactly))
}

// parseList reads a list of latest readings: of GraphQL, REST, or an instant query of VictoriaMetrics.
func parseList(text []byte) (answer, error) {
	var body struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, err
	}
	var items []listItem
	if json.Unmarshal(body.Data, &items) == nil {
		return answerOf(items)
	}
	var object struct {
		GPUs   []listItem `json:"gpus"`
		Result []struct {
			Metric map[string]string  `json:"metric"`
			Value  [2]json.RawMessage `json:"value"`
		} `json:"result"`
	}
	if err := json.Unmarshal(body.Data, &object); err != nil {
		return nil, err
	}
	into, err := answerOf(object.GPUs)
	if err != nil {
		return nil, err
	}
	for _, series := range object.Result {
		value, err := strconv.ParseFloat(string(bytes.Trim(series.Value[1], `"`)), 64)
		if err != nil {
			return nil, err
		}
		if err := into.add(sample{gpuOf(series.Metric), series.Metric["__name__"], 0}, value); err != nil {
			return nil, err
		}
	}
	return into, nil
}

// listItem is a GPU in a list of ours.
type listItem struct {
	ID      string             `json:"id"`
	Metrics map[string]float64 `json:"metrics"`
}

// answerOf returns the readings in a list, without times.
func answerOf(items []listItem) (answer, error) {
	into := answer{}
	for _, i := range items {
		for metric, value := range i.Metrics {
			if err := into.add(sample{i.ID, metric, 0}, value); err != nil {
				return nil, err
			}
		}
	}
	return into, nil
}
