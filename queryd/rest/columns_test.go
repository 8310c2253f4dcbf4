package rest

import (
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/queryd/history"
)

func TestSeriesAsTableAndLines(t *testing.T) {
	f := newFleet()
	f.addRows(t, `
2025-07-18T18:00:00Z a uuid=GPU-a0 index=0 | gpu_utilization=1 temperature=40
2025-07-18T18:20:00.5Z a uuid=GPU-a0 index=0 | gpu_utilization=2.5 temperature=N/A
2025-07-18T18:30:00Z b,1 uuid=GPU-b0 index=0 | gpu_utilization=3
`)
	app := serveFleet(t, f, time.Now)
	for target, want := range map[string]string{
		"/api/v1/telemetry?form=columns&format=csv": "timestamp,a/GPU-a0/DCGM_FI_DEV_GPU_TEMP,a/GPU-a0/DCGM_FI_DEV_GPU_UTIL,\"b,1/GPU-b0/DCGM_FI_DEV_GPU_UTIL\"\r\n" +
			"2025-07-18T18:00:00Z,40,1,\r\n2025-07-18T18:20:00.5Z,N/A,2.5,\r\n2025-07-18T18:30:00Z,,,3\r\n",
		"/api/v1/telemetry?form=columns&format=csv&step=1h&agg=avg,max&host_id=a&metric=gpu_utilization": "timestamp,a/GPU-a0/DCGM_FI_DEV_GPU_UTIL/avg,a/GPU-a0/DCGM_FI_DEV_GPU_UTIL/max\r\n" +
			"2025-07-18T18:00:00Z,1.75,2.5\r\n",
		"/api/v1/telemetry?form=columns&format=ndjson&metric=gpu_utilization": `{"id":"GPU-a0","host_id":"a","uuid":"GPU-a0","gpu_id":"0","hostname":"a","metric":"DCGM_FI_DEV_GPU_UTIL","times":[1752861600,1752862800.5],"values":[1,2.5]}` + "\n" +
			`{"id":"GPU-b0","host_id":"b,1","uuid":"GPU-b0","gpu_id":"0","hostname":"b,1","metric":"DCGM_FI_DEV_GPU_UTIL","times":[1752863400],"values":[3]}` + "\n",
	} {
		if got := getAccepting(t, app, target, ""); got.status != 200 || string(got.body) != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", target, got.status, got.body, want)
		}
	}
}

func TestParametersWithoutEffectAreRefused(t *testing.T) {
	f := newFleet()
	f.addRows(t, "2025-07-18T18:00:00Z a uuid=GPU-a0 index=0 | gpu_utilization=1")
	app := serveFleet(t, f, time.Now)
	for target, says := range map[string]string{
		"/api/v1/telemetry?form=columns&step=1h&group=host&cursor=abc":                 `parameter cursor=\"abc\"`,
		"/api/v1/telemetry?explain=true&format=csv":                                    `parameter explain=\"true\"`,
		"/api/v1/telemetry?explain=true&format=ndjson&step=1h":                         `parameter explain=\"true\"`,
		"/api/v1/telemetry?explain=true&format=csv&form=columns":                       `parameter explain=\"true\"`,
		"/api/v1/gpus/GPU-a0/telemetry?explain=true&format=csv":                        `parameter explain=\"true\"`,
		"/api/v1/telemetry?explain=true&format=ndjson&form=columns&step=1h&group=host": `parameter explain=\"true\"`,
	} {
		if got := getAccepting(t, app, target, ""); got.status != 400 || got.code() != BadParameter || !strings.Contains(string(got.body), says) {
			t.Errorf("%s: %s, want 400 with %s", target, got.scriptText(), says)
		}
	}
	for target, accept := range map[string]string{
		"/api/v1/telemetry?form=columns&step=1h&group=host&cursor=":      "",
		"/api/v1/telemetry?explain=false&format=csv":                     "",
		"/api/v1/telemetry?explain=true&form=columns&step=1h&group=host": "*/*",
	} {
		if got := getAccepting(t, app, target, accept); got.status != 200 {
			t.Errorf("%s: %s, want 200", target, got.scriptText())
		}
	}
}

func TestTooManyPointsOfGroupsNameTheLimit(t *testing.T) {
	f := newFleet()
	f.addRows(t, "2025-07-18T18:00:00Z a uuid=GPU-a0 index=0 | gpu_utilization=1 temperature=40")
	got := getAccepting(t, serveFleet(t, f, time.Now), "/api/v1/telemetry?form=columns&step=1h&group=host&limit=1", "")
	if got.status != 400 || got.code() != BadParameter || !strings.Contains(string(got.body), "limit of up to 5000000") {
		t.Errorf("%s, want 400 that names a greater limit", got.scriptText())
	}
}

// Answers without an envelope have the age of a view that has lost etcd in their header.
func TestDegradedLinesAndTablesHaveTheirAgeInTheHeader(t *testing.T) {
	f := newFleet()
	f.addRows(t, "2025-07-18T18:00:00Z a uuid=GPU-a0 index=0 | gpu_utilization=1")
	hub := f.runHub(t)
	for _, query := range []string{
		"format=ndjson", "format=csv", "format=ndjson&form=columns", "format=csv&form=columns", "format=ndjson&form=columns&step=1h&group=host",
	} {
		target := "/api/v1/telemetry?" + query
		well := getAccepting(t, appOf(New(Config{}, f.facts, hub, history.New(f, nil), f, nil)), target, "")
		got := getAccepting(t, appOf(New(Config{}, f.facts, away{hub}, history.New(f, nil), f, nil)), target, "")
		at, err := time.Parse(time.RFC3339Nano, got.header.Get("X-As-Of"))
		if err != nil || got.status != 200 || time.Since(at) > time.Minute {
			t.Errorf("%s without etcd: %d, X-As-Of %q", query, got.status, got.header.Get("X-As-Of"))
		}
		if well.status != 200 || well.header.Get("X-As-Of") != "" || well.header.Get("Content-Type") != got.header.Get("Content-Type") {
			t.Errorf("%s: %d %s, X-As-Of %q", query, well.status, well.header.Get("Content-Type"), well.header.Get("X-As-Of"))
		}
	}
}
