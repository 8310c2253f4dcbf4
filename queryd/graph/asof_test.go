package graph

import (
	"fmt"
	"strings"
	"testing"
)

func TestFieldsAnswerAsOfATime(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ name, query, want string }{
		{"beside now", `{then:gpu(id:"GPU-a0",asOf:"2025-07-18T20:42:34Z"){gpuUtilization lastSeen status telemetry(metric:["gpu_utilization"]){count}} now:gpu(id:"GPU-a0"){gpuUtilization lastSeen}}`,
			`{"now":{"gpuUtilization":88,"lastSeen":"2025-07-18T20:42:35Z"},` +
				`"then":{"gpuUtilization":87,"lastSeen":"2025-07-18T20:42:34Z","status":"active","telemetry":{"count":2}}}`},
		{"below hosts", `{hosts(asOf:"2025-07-18T20:42:34Z"){name status lastSeen gpus{id gpuUtilization}}}`,
			`{"hosts":[{"gpus":[{"gpuUtilization":87,"id":"GPU-a0"},{"gpuUtilization":0,"id":"GPU-a1"}],"lastSeen":"2025-07-18T20:42:34Z","name":"a","status":"active"},` +
				`{"gpus":[{"gpuUtilization":null,"id":"GPU-b0"}],"lastSeen":"2025-07-18T20:42:34Z","name":"b","status":"active"}]}`},
		{"one host", `{host(name:"a",asOf:"2025-07-18T20:42:34Z"){gpuCount} none:host(name:"zz",asOf:"2025-07-18T20:42:34Z"){name}}`,
			`{"host":{"gpuCount":2},"none":null}`},
		{"GPUs of a host", `{gpus(host:"a",asOf:"2025-07-18T20:42:34Z",limit:1){id gpuUtilization}}`, `{"gpus":[{"gpuUtilization":87,"id":"GPU-a0"}]}`},
		{"before everything", `{cluster(asOf:"2025-07-18T20:00:00Z"){hostCount gpuCount gpuUtilizationAvg} gpu(id:"a:0",asOf:"2025-07-18T20:00:00Z"){id}}`,
			`{"cluster":{"gpuCount":0,"gpuUtilizationAvg":null,"hostCount":0},"gpu":null}`},
		{"the same twice", `{a:cluster(asOf:"2025-07-18T20:42:34Z"){active stale} b:cluster(asOf:"2025-07-18T21:42:34Z"){active stale}}`,
			`{"a":{"active":3,"stale":0},"b":{"active":0,"stale":3}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := w.execute(t, c.query, nil); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestBadTimesOfThePastAreReported(t *testing.T) {
	w := newWorld(t)
	var many strings.Builder
	for i := range maxPastViews + 1 {
		fmt.Fprintf(&many, `a%d:cluster(asOf:"now-%dm"){gpuCount} `, i, i)
	}
	for query, want := range map[string]string{
		`{cluster(asOf:"yesterday"){gpuCount}}`: "yesterday",
		`{` + many.String() + `}`:               "at most",
	} {
		r := w.engine.Execute(everybody(t), Request{Query: query})
		if !strings.Contains(string(r.JSON), `"errors"`) || !strings.Contains(string(r.JSON), want) {
			t.Errorf("%s\ngot %s, want an error that names %q", query, r.JSON, want)
		}
	}
}
