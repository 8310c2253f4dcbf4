package graph

import (
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

func TestQueriesAnswerFromViewAndHistory(t *testing.T) {
	w := newWorld(t)
	cases := []struct{ name, query, want string }{
		{"cluster", `{cluster{hostCount gpuCount models drivers gpuUtilizationAvg powerDraw}}`,
			`{"cluster":{"drivers":["535.129.03"],"gpuCount":3,"gpuUtilizationAvg":44,"hostCount":2,"models":["NVIDIA H100 80GB HBM3"],"powerDraw":66.781}}`},
		{"hosts", `{hosts{name gpuCount gpus(limit:1){id}}}`,
			`{"hosts":[{"gpuCount":2,"gpus":[{"id":"GPU-a0"}],"name":"a"},{"gpuCount":1,"gpus":[{"id":"GPU-b0"}],"name":"b"}]}`},
		{"one host", `{host(name:"b"){status gpus{id}} none:host(name:"c"){name}}`,
			`{"host":{"gpus":[{"id":"GPU-b0"}],"status":"stale"},"none":null}`},
		{"one GPU with everything", `{gpu(id:"GPU-a0"){uuid gpuId host modelName driverVersion pod labels gpuUtilization powerDraw temperature metrics metricTimes absent lastSeen}}`,
			`{"gpu":{"absent":{"DCGM_FI_DEV_MEMORY_TEMP":"not_supported"},"driverVersion":"535.129.03","gpuId":"0","gpuUtilization":88,"host":"a",` +
				`"labels":{"instance":"a:9400","job":"dcgm"},"lastSeen":"2025-07-18T20:42:35Z","metricTimes":{"DCGM_FI_DEV_GPU_UTIL":"2025-07-18T20:42:35Z",` +
				`"DCGM_FI_DEV_MEMORY_TEMP":"2025-07-18T20:42:34Z","DCGM_FI_DEV_POWER_USAGE":"2025-07-18T20:42:34Z"},` +
				`"metrics":{"DCGM_FI_DEV_GPU_UTIL":88,"DCGM_FI_DEV_POWER_USAGE":66.781},"modelName":"NVIDIA H100 80GB HBM3","pod":null,"powerDraw":66.781,"temperature":null,"uuid":"GPU-a0"}}`},
		{"what is absent, latest and in history", `{gpu(id:"GPU-a0"){absent absentText telemetry(metric:["DCGM_FI_DEV_MEMORY_TEMP"]){entries{metrics absent absentText}}}}`,
			`{"gpu":{"absent":{"DCGM_FI_DEV_MEMORY_TEMP":"not_supported"},"absentText":{"DCGM_FI_DEV_MEMORY_TEMP":"[N/A]"},"telemetry":{"entries":[` +
				`{"absent":{"DCGM_FI_DEV_MEMORY_TEMP":"not_supported"},"absentText":{"DCGM_FI_DEV_MEMORY_TEMP":"[N/A]"},"metrics":{}}]}}}`},
		{"host and index", `{gpu(id:"a:1"){id} none:gpu(id:"a:7"){id}}`, `{"gpu":{"id":"GPU-a1"},"none":null}`},
		{"a number past what a float holds", `{gpus(host:"b"){metrics}}`, `{"gpus":[{"metrics":{"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION":9007199254740993}}]}`},
		{"an index on a host, and a GPU that is not known", `{a:telemetry(host:["a"],gpu:["1"]){entries{id}} b:telemetry(gpu:["GPU-zz"]){count}}`,
			`{"a":{"entries":[{"id":"GPU-a1"}]},"b":{"count":0}}`},
		{"history, newest first", `{gpu(id:"GPU-a0"){telemetry(metric:["gpu_utilization"]){count nextCursor entries{timestamp host gpuUtilization labels}}}}`,
			`{"gpu":{"telemetry":{"count":2,"entries":[{"gpuUtilization":88,"host":"a","labels":{"instance":"a:9400","job":"dcgm"},"timestamp":"2025-07-18T20:42:35Z"},` +
				`{"gpuUtilization":87,"host":"a","labels":{"instance":"a:9400","job":"dcgm"},"timestamp":"2025-07-18T20:42:34Z"}],"nextCursor":null}}}`},
		{"history by series", `{gpu(id:"GPU-a0"){telemetry(metric:["gpu_utilization","DCGM_FI_DEV_MEMORY_TEMP"],order:"asc"){count series}}}`,
			`{"gpu":{"telemetry":{"count":2,"series":[{"host":"a","id":"GPU-a0","metric":"DCGM_FI_DEV_GPU_UTIL",` +
				`"timestamps":["2025-07-18T20:42:34Z","2025-07-18T20:42:35Z"],"raw":[87,88]},{"host":"a","id":"GPU-a0","metric":"DCGM_FI_DEV_MEMORY_TEMP","timestamps":["2025-07-18T20:42:34Z"],"raw":[null],"absent":["not_supported"]}]}}}`},
		{"history by steps", `{telemetry(step:"1d",agg:["max","count"],metric:["gpu_utilization"],gpu:["GPU-a0"]){count nextCursor entries{id} series}}`,
			`{"telemetry":{"count":1,"entries":[],"nextCursor":null,"series":[{"host":"a","id":"GPU-a0","metric":"DCGM_FI_DEV_GPU_UTIL",` +
				`"timestamps":["2025-07-18T00:00:00Z"],"max":[88],"count":[2]}]}}`},
		{"history by steps, as each metric is shown best", `{telemetry(step:"1h",limit:1,gpu:["GPU-a0"]){count series}}`,
			`{"telemetry":{"count":1,"series":[{"host":"a","id":"GPU-a0","metric":"DCGM_FI_DEV_GPU_UTIL",` +
				`"timestamps":["2025-07-18T20:00:00Z"],"avg":[87.5]},{"host":"a","id":"GPU-a0","metric":"DCGM_FI_DEV_POWER_USAGE","timestamps":["2025-07-18T20:00:00Z"],"avg":[66.781]}]}}`},
		{"history of all, oldest first, bounded", `{telemetry(order:"asc",end:"2025-07-18T20:42:34Z",metric:["DCGM_FI_DEV_GPU_UTIL"]){entries{id metrics absent}}}`,
			`{"telemetry":{"entries":[{"absent":{},"id":"GPU-a0","metrics":{"DCGM_FI_DEV_GPU_UTIL":87}},{"absent":{},"id":"GPU-a1","metrics":{"DCGM_FI_DEV_GPU_UTIL":0}}]}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := w.execute(t, c.query, nil); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestHistoryGoesOnFromACursor(t *testing.T) {
	w := newWorld(t)
	query := `query($c:String){telemetry(limit:1,cursor:$c){nextCursor entries{timestamp id}}}`
	first := w.execute(t, query, nil)
	_, rest, _ := strings.Cut(first, `"nextCursor":"`)
	cursor, _, _ := strings.Cut(rest, `"`)
	second := w.execute(t, query, map[string]any{"c": cursor})
	if !strings.Contains(first, "20:42:35Z") || !strings.Contains(second, "20:42:34Z") {
		t.Errorf("pages\n%s\n%s\nwant the newest entry, then the next", first, second)
	}
}

func TestAFleetThatIsNotLoadedYetIsNotAnsweredAsEmpty(t *testing.T) {
	hub, err := live.New(live.Config{}, &stored{}, nil, events.Facts{Epoch: 1, Cluster: 2, Partitions: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := New(Config{}, hub, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := engine.Execute(everybody(t), Request{Query: `{cluster{gpuCount} gpus{id} gpu(id:"GPU-a0"){id}}`})
	if want := `{"errors":[{"message":"the view is being loaded; try again in a moment","locations":[]}]}`; string(r.JSON) != want || !r.Unanswered {
		t.Errorf("got %s, want %s", r.JSON, want)
	}
	if r := engine.Execute(everybody(t), Request{Query: `fragment A on GPU{...B} fragment B on GPU{...A} {gpus{...A}}`}); !r.Excessive {
		t.Errorf("a circle meanwhile: %s", r.JSON)
	}
}

func TestOnlyBadArgumentsAreReported(t *testing.T) {
	w := newWorld(t)
	cases := map[string]string{
		`{telemetry(limit:0){count}}`:                                 "limit 0",
		`{telemetry(limit:10001){count}}`:                             "limit 10001",
		`{telemetry(gpu:["3"]){count}}`:                               `is an index, which is of a host`,
		`{telemetry(start:"yesterday"){count}}`:                       "yesterday",
		`{telemetry(step:"1"){count}}`:                                "step",
		`{telemetry(step:"1h",agg:["median"]){count}}`:                "avg, min, max",
		`{telemetry(agg:["max"]){count}}`:                             "needs a step",
		`{gpu(id:"GPU-a0"){telemetry(step:"1h",agg:["raw"]){count}}}`: "raw",
		`{telemetry(order:"up"){count}}`:                              "order",
		`{telemetry(cursor:"garbage"){count}}`:                        "cursor",
		`{hosts(limit:-1){name}}`:                                     "limit -1",
		`{gpu(id:"GPU-a0"){telemetry(end:"x"){count}}}`:               "end",
		`subscription{gpuMetrics{token}}`:                             "WebSocket",
		`mutation{x}`:                                                 "mutation",
		`{nothing}`:                                                   "nothing",
		`{`:                                                           "Syntax Error",
		`query A{hosts{name}} query B{hosts{name}}`:                   "operationName",
		`query($n:Int!){hosts(limit:$n){name}}`:                       "$n",
		`{gpus(limit:1){telemetry(limit:1){entries{id}}}}}`:           "Syntax Error",
	}
	for query, want := range cases {
		t.Run(query, func(t *testing.T) {
			r := w.engine.Execute(everybody(t), Request{Query: query})
			if !strings.Contains(string(r.JSON), `"errors"`) || !strings.Contains(string(r.JSON), want) {
				t.Errorf("got %s, want an error that names %q", r.JSON, want)
			}
		})
	}
}

func TestSubscriptionYieldsTheStateThenChanges(t *testing.T) {
	w := newWorld(t)
	results, bad := w.engine.Subscribe(everybody(t), Request{Query: `subscription($m:[String!]){gpuMetrics(host:["a"],metric:$m){snapshot gpus{id gpuUtilization timestamp}}}`, Variables: map[string]any{"m": []any{"gpu_utilization"}}})
	if bad != nil {
		t.Fatalf("refused: %s", bad.JSON)
	}
	want := []string{
		`{"data":{"gpuMetrics":{"gpus":[{"gpuUtilization":88,"id":"GPU-a0","timestamp":"2025-07-18T20:42:35Z"},{"gpuUtilization":0,"id":"GPU-a1","timestamp":"2025-07-18T20:42:34Z"}],"snapshot":true}}}`,
		`{"data":{"gpuMetrics":{"gpus":[{"gpuUtilization":12,"id":"GPU-a1","timestamp":"2025-07-18T20:43:34Z"}],"snapshot":false}}}`,
	}
	i := 0
	for text := range results {
		if string(text) != want[i] {
			t.Fatalf("step %d\n got %s\nwant %s", i, text, want[i])
		}
		if i++; i == len(want) {
			break
		}
		w.update(t, newEvent(t, "a", newReading(&events.Identity{UUID: "GPU-a1", Index: "1"}, "DCGM_FI_DEV_GPU_UTIL", "12", start+60e9)))
	}
	if i != len(want) {
		t.Errorf("stream ended after %d steps, want %d", i, len(want))
	}
}

// update folds an event and waits until the hub has the change.
func (w *world) update(t *testing.T, ev events.Event) {
	t.Helper()
	h := w.hosts[ev.Host]
	h.Apply(&ev)
	model := h.Live
	w.source.updates <- projections.Batch{At: revisionOf(20), Hosts: []projections.Stored{{Host: ev.Host, Live: &model}}}
}

func TestBadSubscriptionIsRefused(t *testing.T) {
	w := newWorld(t)
	cases := map[string]string{
		`{hosts{name}}`: "not a subscription",
		`subscription{gpuMetrics{token} again:gpuMetrics{token}}`: "exactly one root field",
		`subscription{gpuMetrics @skip(if:true){token}}`:          "directives",
		`subscription{gpuMetrics(hz:-1){token}}`:                  "hz",
		`subscription{gpuMetrics{nothing}}`:                       "nothing",
	}
	for query, want := range cases {
		t.Run(query, func(t *testing.T) {
			_, bad := w.engine.Subscribe(everybody(t), Request{Query: query})
			if bad == nil || !strings.Contains(strings.ToLower(string(bad.JSON)), strings.ToLower(want)) {
				t.Errorf("got %+v, want a refusal that says %q", bad, want)
			}
		})
	}
}

// Host a reports a GPU with all of its names, then by index and by address alone. GPU-s is reported by a and by c at once.
func TestEveryNameFindsAGPU(t *testing.T) {
	whole := &events.Identity{UUID: "GPU-x", Index: "0", PCI: "00000000:1b:00.0"}
	index, address := &events.Identity{Index: "0"}, &events.Identity{PCI: "00000000:1b:00.0"}
	first, second := &events.Identity{UUID: "GPU-s", Index: "1"}, &events.Identity{UUID: "GPU-s", Index: "5"}
	const power, util = "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_UTIL"
	w := newWorldOf(t, []events.Event{
		newEvent(t, "a", newReading(whole, power, "600", start)),
		newEvent(t, "a", newReading(index, power, "601", start+1)),
		newEvent(t, "a", newReading(address, util, "7", start+2)),
		newEvent(t, "a", newReading(first, power, "300", start)),
		newEvent(t, "c", newReading(second, power, "7", start+1)),
	})
	const x = `{"id":"GPU-x","metrics":{"DCGM_FI_DEV_GPU_UTIL":7,"DCGM_FI_DEV_POWER_USAGE":601},"telemetry":{"count":3}}`
	for query, want := range map[string]string{
		`{gpu(id:"GPU-x"){id metrics telemetry{count}}}`:                 `{"gpu":` + x + `}`,
		`{gpu(id:"a:0"){id metrics telemetry{count}}}`:                   `{"gpu":` + x + `}`,
		`{gpu(id:"a:00000000:1b:00.0"){id metrics telemetry{count}}}`:    `{"gpu":` + x + `}`,
		`{gpu(id:"a:0000:1B:00.0"){id metrics telemetry{count}}}`:        `{"gpu":` + x + `}`,
		`{gpu(id:"a:1B:00.0",asOf:"2025-07-18T20:42:34Z"){id metrics}}`:  `{"gpu":{"id":"GPU-x","metrics":{"DCGM_FI_DEV_POWER_USAGE":600}}}`,
		`{gpu(id:"a:0",asOf:"2025-07-18T20:42:34.000000001Z"){metrics}}`: `{"gpu":{"metrics":{"DCGM_FI_DEV_POWER_USAGE":601}}}`,
		`{telemetry(gpu:["a:0000:1B:00.0"]){count}}`:                     `{"telemetry":{"count":3}}`,
		`{telemetry(gpu:["a:0"]){count}}`:                                `{"telemetry":{"count":3}}`,
		`{telemetry(host:["a"],gpu:["1B:00.0"]){count}}`:                 `{"telemetry":{"count":3}}`,
		`{cluster{gpuCount powerDraw}}`:                                  `{"cluster":{"gpuCount":2,"powerDraw":901}}`,
		`{gpus{id host conflictHosts}}`: `{"gpus":[{"conflictHosts":[],"host":"a","id":"GPU-x"},{"conflictHosts":["c"],"host":"a","id":"GPU-s"},` +
			`{"conflictHosts":["a"],"host":"c","id":"c:GPU-s"}]}`,
		`{gpu(id:"GPU-s"){host telemetry{entries{host powerDraw}}}}`:   `{"gpu":{"host":"a","telemetry":{"entries":[{"host":"a","powerDraw":300}]}}}`,
		`{gpu(id:"c:5"){host telemetry{entries{host powerDraw}}}}`:     `{"gpu":{"host":"c","telemetry":{"entries":[{"host":"c","powerDraw":7}]}}}`,
		`{gpu(id:"c:GPU-s"){id uuid}}`:                                 `{"gpu":{"id":"c:GPU-s","uuid":"GPU-s"}}`,
		`{telemetry(gpu:["GPU-s"],order:"asc"){entries{host}}}`:        `{"telemetry":{"entries":[{"host":"a"},{"host":"c"}]}}`,
		`{telemetry(gpu:["GPU-s"],host:["c"]){entries{host}}}`:         `{"telemetry":{"entries":[{"host":"c"}]}}`,
		`{telemetry(gpu:["1"],host:["a"]){entries{host}}}`:             `{"telemetry":{"entries":[{"host":"a"}]}}`,
		`{host(name:"c"){gpuCount gpus{id powerDraw}}}`:                `{"host":{"gpuCount":1,"gpus":[{"id":"c:GPU-s","powerDraw":7}]}}`,
		`{gpu(id:"GPU-s",asOf:"2025-07-18T20:42:34Z"){conflictHosts}}`: `{"gpu":{"conflictHosts":[]}}`,
	} {
		if got := w.execute(t, query, nil); got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
}

// A subscription by a name follows it: the GPU that lost the index is removed, the GPU that has it comes whole.
func TestASubscriptionByIndexFollowsTheSlot(t *testing.T) {
	w := newWorld(t)
	results, bad := w.engine.Subscribe(everybody(t), Request{Query: `subscription{gpuMetrics(gpu:["a:1"],hz:20){snapshot removed gpus{id metrics}}}`})
	if bad != nil {
		t.Fatalf("refused: %s", bad.JSON)
	}
	want := []string{
		`{"data":{"gpuMetrics":{"gpus":[{"id":"GPU-a1","metrics":{"DCGM_FI_DEV_GPU_UTIL":0}}],"removed":[],"snapshot":true}}}`,
		`{"data":{"gpuMetrics":{"gpus":[{"id":"GPU-new","metrics":{"DCGM_FI_DEV_GPU_UTIL":12}}],"removed":["GPU-a1"],"snapshot":false}}}`,
	}
	i := 0
	for text := range results {
		if string(text) != want[i] {
			t.Fatalf("step %d\n got %s\nwant %s", i, text, want[i])
		}
		if i++; i == len(want) {
			break
		}
		w.update(t, newEvent(t, "a", newReading(&events.Identity{UUID: "GPU-new", Index: "1"}, "DCGM_FI_DEV_GPU_UTIL", "12", start+60e9)))
	}
	if i != len(want) {
		t.Errorf("stream ended after %d steps, want %d", i, len(want))
	}
}
