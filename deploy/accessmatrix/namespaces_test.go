package accessmatrix

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
)

// addUse adds readings of a GPU of the host nodes-1 that a namespace uses.
func (f *telemetry) addUse(at time.Time, gpu int, namespace, pod, value string) {
	for _, metric := range []string{"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"} {
		fmt.Fprintf(f, "%s,%s,%d,nvidia%d,GPU-0c000000-0000-0000-0000-00000000000%d,Model,nodes-1,main,%s,%s,%s,\n",
			at.UTC().Format(time.RFC3339), metric, gpu, gpu, gpu, pod, namespace, value)
	}
}

// A principal of a namespace sees the GPUs that its workloads use, their past while they did, and nothing of other workloads on
// the same host: also not of a GPU that others used before.
func TestNamespacesOfOneHost(t *testing.T) {
	t.Parallel()
	s := startStandalone(t)
	var f telemetry
	f.WriteString(csvHeader)
	for i := range historySteps {
		at := s.now.Add(-time.Duration(historySteps-1-i) * historyStep)
		f.addUse(at, 0, "team-own", "ownpod", "4242")
		f.addUse(at, 1, "foreign-team", "secretpod", "31337.5")
		if i < historySteps/2 {
			f.addUse(at, 2, "foreign-team", "secretpod", "31337.5")
		} else {
			f.addUse(at, 2, "team-own", "ownpod", "4343")
		}
	}
	s.mustUpload(s.named("admin-whole"), f.Bytes())
	client := s.client(s.newToken("read-namespace", access.RoleRead, "namespace=team-own", time.Time{}))
	s.writeFile()
	eventually(t, "the new principal", func() (bool, string) {
		status, text := s.do(client, http.MethodGet, s.queries+"/api/v1/gpus", "", nil)
		return status == http.StatusOK && strings.Contains(text, "4343"), text
	})
	const gpu = "/api/v1/gpus/GPU-0c000000-0000-0000-0000-00000000000"
	for request, want := range map[string]string{ // a part of the answer; "": it is absent
		"/api/v1/gpus":                 `"count":2`,
		"/api/v1/gpus?as_of=now-4h":    `"count":1`,
		gpu + "0":                      "4242",
		gpu + "1":                      "",
		gpu + "2":                      "4343",
		gpu + "2?as_of=now-4h":         "",
		"/api/v1/gpus/nodes-1:1":       "",
		gpu + "2/telemetry?limit=1000": "4343",
		gpu + "2/telemetry?step=1h&agg=count,max": "4343",
		"/api/v1/hosts":                                          `"gpu_count":2`,
		"/api/v1/hosts/nodes-1":                                  "nodes-1",
		"/api/v1/hosts/nodes-1/gpus":                             `"count":2`,
		"/api/v1/cluster":                                        `"gpu_count":2`,
		"/api/v1/cluster?as_of=now-4h":                           `"gpu_count":1`,
		"/api/v1/telemetry?limit=1000":                           "4242",
		"/api/v1/telemetry?form=columns&step=1h&group=label:pod": "ownpod",
		"/api/v1/telemetry?form=columns&format=csv":              "4343",
		"/api/v1/telemetry/latest":                               "4343",
		"/api/v1/events?records=true":                            "ownpod",
		"/api/v1/status":                                         `"gpu_count":2`,
		"/graphql?query=%7Bcluster%7BgpuCount%7Dgpus%7Bid%20labels%20metrics%7D%7D": `"gpuCount":2`,
	} {
		status, text := s.do(client, http.MethodGet, s.queries+request, "", nil)
		if word := foreignWordIn(text); word != "" {
			t.Errorf("GET %s: %d, with %q: %.600s", request, status, word, text)
		}
		if right := status == http.StatusOK && strings.Contains(text, want) && want != "" || status == http.StatusNotFound && want == ""; !right {
			t.Errorf("GET %s: %d, want %q: %.600s", request, status, want, text)
		}
	}
	s.checkSecrets()
}
