package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"time"

	"telemetry-pipeline/deploy/fleet"
)

// historyQuery is a question about the past, in no one's language.
type historyQuery struct {
	name     string
	fleet    bool // of all GPUs
	host     bool // of the GPUs of one host; else of one GPU
	all      bool // all metrics, else one
	from, to time.Time
	step     time.Duration // averages over steps; 0: every reading
	bound    bound
}

// historyQueries returns the questions of the history rows, with the bounds that they must keep, in milliseconds.
func historyQueries(d *historyData) []historyQuery {
	week := fmt.Sprintf("%d days by hour, %d GPUs, one metric", d.Plan.Days, d.Plan.GPUs)
	return []historyQuery{
		{name: week, fleet: true, from: d.weekFrom(), to: d.coldUntil(), step: time.Hour, bound: bound{MaxRatio: 2}},
		{name: fmt.Sprintf("day by hour, %d GPUs, one metric", d.Plan.GPUs), fleet: true, from: d.dayFrom(), to: d.coldUntil(), step: time.Hour, bound: bound{MaxRatio: 2}},
		{name: "day by hour, one host, one metric", host: true, from: d.dayFrom(), to: d.coldUntil(), step: time.Hour, bound: bound{MaxRatio: 3}},
		{name: "one GPU's raw day, one metric", from: d.dayFrom(), to: d.coldUntil(), bound: bound{MaxRatio: 2, Max: 2}},
		{name: "one GPU's raw day, 10 metrics", all: true, from: d.dayFrom(), to: d.coldUntil(), bound: bound{MaxRatio: 2, Max: 8}},
		{name: fmt.Sprintf("last %d h of one GPU from etcd, one metric", d.Plan.HotHours), from: d.hotFrom(), to: d.End, bound: bound{MaxRatio: 3}},
		{name: fmt.Sprintf("last %d h of one GPU from etcd, 10 metrics", d.Plan.HotHours), all: true, from: d.hotFrom(), to: d.End, bound: bound{MaxRatio: 3}},
	}
}

// tolerance returns the difference that answers may have.
func (q historyQuery) tolerance() float64 {
	if q.step > 0 {
		return asAverages
	}
	return exactly
}

// metricOf returns the metric that questions with one metric ask for. It differs from asking to asking, so that no
// server answers from a memory of the last one.
func metricOf(asking int) string {
	names := []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_FB_USED"}
	return names[asking%len(names)]
}

// ourURL returns the address of our answer. The asking counts how often the question was asked: it selects the metric, the host and
// the GPU.
func (q historyQuery) ourURL(base string, f form, gpus *fleet.Fleet, asking int) string {
	v := maps.Clone(f.query)
	v.Set("start_time", q.from.Format(time.RFC3339))
	v.Set("end_time", q.to.Add(-time.Nanosecond).Format(time.RFC3339Nano))
	v.Set("order", "asc")
	if !q.all {
		v.Set("metric", metricOf(asking))
	}
	if q.step > 0 {
		v.Set("step", fmt.Sprintf("%ds", int(q.step.Seconds())))
		v.Set("agg", "avg")
	}
	gpu := gpus.GPU(asking)
	path := "/api/v1/telemetry"
	switch {
	case q.host:
		v.Set("host_id", gpu.Host)
	case !q.fleet:
		path = "/api/v1/gpus/" + url.PathEscape(gpu.UUID) + "/telemetry"
	}
	return base + path + "?" + v.Encode()
}

// victoriaURL returns the address of the same answer of VictoriaMetrics. Its step ends at the time of a value and includes that
// time, ours begins there; a millisecond, its resolution, makes them the same. Its cache of answers is off.
func (q historyQuery) victoriaURL(base string, gpus *fleet.Fleet, asking int) string {
	gpu := gpus.GPU(asking)
	selector := ""
	switch {
	case q.host:
		selector = fmt.Sprintf(`{Hostname="%s"}`, gpu.Host)
	case !q.fleet:
		selector = fmt.Sprintf(`{uuid="%s"}`, gpu.UUID)
	}
	if !q.all {
		selector = metricOf(asking) + selector
	}
	v := url.Values{"end": {seconds(q.to.Add(-time.Millisecond))}}
	if q.step == 0 {
		v.Set("match[]", selector)
		v.Set("start", seconds(q.from))
		return base + "/api/v1/export?" + v.Encode()
	}
	v.Set("query", fmt.Sprintf("avg_over_time(%s[%ds])", selector, int(q.step.Seconds())))
	v.Set("start", seconds(q.from.Add(q.step-time.Millisecond)))
	v.Set("step", fmt.Sprintf("%ds", int(q.step.Seconds())))
	v.Set("nocache", "1")
	return base + "/api/v1/query_range?" + v.Encode()
}

// askOurs returns all pages of our answer, as they came.
func (r *run) askOurs(ctx context.Context, q historyQuery, asking int) (pages [][]byte, err error) {
	first := q.ourURL(r.ours.Queries, r.form, r.gpus, asking)
	for address := first; ; {
		page, err := r.client.Get(ctx, address)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
		next := nextCursor(page)
		if next == "" {
			return pages, nil
		}
		address = first + "&cursor=" + url.QueryEscape(next)
	}
}

// parseOurs returns the numbers of our answer.
func (r *run) parseOurs(pages [][]byte) (answer, error) {
	into := answer{}
	for _, page := range pages {
		if err := r.form.parse(page, into); err != nil {
			return nil, err
		}
	}
	return into, nil
}

// parseTheirs returns the numbers of the peer's answer.
func (q historyQuery) parseTheirs(page []byte, asking int) (answer, error) {
	if q.step == 0 {
		return parseExport(page)
	}
	return parseRange(page, metricOf(asking), q.step)
}

// seconds writes an instant as VictoriaMetrics reads it.
func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}
