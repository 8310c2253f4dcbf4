package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"telemetry-pipeline/deploy/measure"
)

// Each query is asked of several GPUs, once before it counts.
const asked = 20

// measureQueries measures the two queries that a budget is set for.
func (out *measurements) measureQueries(ctx context.Context, s *measure.Standalone, end time.Time) error {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := out.client.GetJSON(ctx, s.Queries+"/api/v1/gpus", &list); err != nil {
		return err
	}
	if len(list.Data) != out.gpus {
		return fmt.Errorf("%d GPUs are there, want %d", len(list.Data), out.gpus)
	}
	start := end.AddDate(0, 0, -out.days)
	for i := range asked {
		gpu := list.Data[i*len(list.Data)/asked].ID
		week, rows, err := out.askOnce(ctx, s, gpu, start, end, url.Values{"step": {"1h"}, "limit": {"10000"}})
		if err != nil {
			return err
		}
		day := start.AddDate(0, 0, i%out.days)
		raw, rawRows, err := out.askOnce(ctx, s, gpu, day, day.AddDate(0, 0, 1), url.Values{"limit": {"10000"}})
		if err != nil {
			return err
		}
		out.weekByHour, out.weekByHourRows = append(out.weekByHour, week), rows
		out.rawDay, out.rawDayRows = append(out.rawDay, raw), rawRows
	}
	return nil
}

// askOnce returns the time until the whole answer was there.
func (out *measurements) askOnce(ctx context.Context, s *measure.Standalone, gpu string, from, to time.Time, q url.Values) (took time.Duration, rows int, err error) {
	q.Set("start_time", from.Format(time.RFC3339))
	q.Set("end_time", to.Add(-time.Nanosecond).Format(time.RFC3339Nano))
	var answer struct {
		Count int `json:"count"`
	}
	began := time.Now()
	text, err := out.client.Get(ctx, s.Queries+"/api/v1/gpus/"+url.PathEscape(gpu)+"/telemetry?"+q.Encode())
	if took = time.Since(began); err != nil {
		return took, 0, err
	}
	err = json.Unmarshal(text, &answer)
	return took, answer.Count, err
}

// percentile returns the value below which a share of all lie.
func percentile(all []time.Duration, share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
