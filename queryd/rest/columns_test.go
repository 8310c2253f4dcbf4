package rest

import (
	"testing"
	"time"
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
