package rest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/history/historytest"
	"telemetry-pipeline/queryd/journal"
)

// fleetOfTwo is rows of hosts in a scope (h…) and outside of it (g…), which share a GPU and have others of their own.
const fleetOfTwo = `
2025-07-18T11:42:34Z h1 uuid=GPU-1 index=0 model=NVIDIA+H100 driver=535.1 pod=p namespace=ml | DCGM_FI_DEV_GPU_UTIL=1 DCGM_FI_DEV_GPU_TEMP=31
2025-07-18T11:42:35Z g1 uuid=GPU-9 index=0 model=Secret driver=999.9 pod=secret namespace=ml | DCGM_FI_DEV_GPU_UTIL=2 DCGM_FI_DEV_SECRET=1
2025-07-18T11:42:36Z h2 uuid=GPU-2 index=0 model=NVIDIA+H100 | DCGM_FI_DEV_GPU_UTIL=3
2025-07-18T11:42:37Z g2 uuid=GPU-2 index=1 model=Secret | DCGM_FI_DEV_GPU_UTIL=4
2025-07-18T11:42:38Z h2 uuid=GPU-2 index=0 | DCGM_FI_DEV_GPU_UTIL=5
2025-07-18T11:42:39Z g1 uuid=GPU-1 index=1 | DCGM_FI_DEV_GPU_UTIL=6
2025-07-18T11:42:40Z h3 index=4 | DCGM_FI_DEV_GPU_UTIL=7
2025-07-18T11:42:41Z g2 uuid=GPU-8 index=4 | DCGM_FI_DEV_GPU_UTIL=8
2025-07-18T11:42:42Z h1 uuid=GPU-1 index=0 | DCGM_FI_DEV_GPU_UTIL=9
`

// scopedApps returns an app of a fleet for a principal of the hosts h…, and an app of a fleet that has only these hosts.
func scopedApps(t *testing.T) (scoped, only *fiber.App) {
	t.Helper()
	scope, err := access.ParseScope("host=h*,host=node-a")
	if err != nil {
		t.Fatal(err)
	}
	whole := newFleet()
	whole.addRows(t, fleetOfTwo)
	part := newFleet()
	part.appended, part.hosts, part.series = whole.appended, maps.Clone(whole.hosts), maps.Clone(whole.series)
	maps.DeleteFunc(part.hosts, func(id events.HostID, _ *projections.Host) bool { return !scope.HasHost(id) })
	maps.DeleteFunc(part.series, func(id events.HostID, _ map[projections.Window]projections.HostWindow) bool {
		return !scope.HasHost(id)
	})
	serve := func(f *fleet, only func(events.HostID) bool, p *access.Principal) *fiber.App {
		api := New(Config{}, f.facts, f.runHub(t), history.New(f, nil), f, nil)
		api.now = func() time.Time { return noon }
		api.ServeLog(journal.New(appendedLog{f, only}))
		return appFor(api, p)
	}
	p := &access.Principal{ID: "team", Roles: []access.Role{access.RoleRead, access.RoleAdmin}, Scope: scope}
	return serve(whole, nil, p), serve(part, scope.HasHost, access.Everybody())
}

// changing matches the parts of an answer that may differ: cursors, and the time of the view.
var changing = regexp.MustCompile(`"next_cursor": ?"[^"]+"|"as_of":"20[3-9][^"]*"|"as_of":"202[6-9][^"]*"|"lag_seconds":[^,}]*`)

func TestInvisibleHostsAreAbsent(t *testing.T) {
	scoped, only := scopedApps(t)
	refused := 0
	for _, path := range []string{
		"/gpus", "/gpus?limit=1", "/gpus?host_id=g1", "/gpus?host_id=g*", "/gpus/GPU-1", "/gpus/GPU-2", "/gpus/GPU-8", "/gpus/GPU-9", "/gpus/none", "/gpus/g1:0", "/gpus/h3:4",
		"/hosts", "/hosts?limit=1", "/hosts/h2", "/hosts/g1", "/hosts/none", "/hosts/g1/gpus", "/hosts/h2/gpus", "/cluster", "/cluster?as_of=2025-07-18T11:42:38Z",
		"/gpus?as_of=2025-07-18T11:42:37Z", "/gpus/GPU-2?as_of=2025-07-18T11:42:37Z", "/hosts?as_of=2025-07-18T11:42:38Z", "/gpus/GPU-9?as_of=2025-07-18T11:42:38Z",
		"/telemetry/latest", "/telemetry/latest?host_id=g1", "/telemetry/latest?gpu_id=GPU-9", "/telemetry/latest?metric=DCGM_FI_DEV_SECRET",
		"/telemetry?limit=2", "/telemetry?limit=100", "/telemetry?limit=2&order=asc", "/telemetry?host_id=g1", "/telemetry?gpu_id=GPU-9", "/telemetry?gpu_id=GPU-2&limit=1",
		"/telemetry?gpu_id=g2:1", "/telemetry?metric=DCGM_FI_DEV_SECRET", "/gpus/GPU-9/telemetry", "/gpus/GPU-2/telemetry", "/gpus/g1:0/telemetry", "/gpus/none/telemetry",
		"/telemetry?step=1h&limit=1", "/telemetry?step=1h&group=cluster", "/telemetry?step=1h&group=model", "/telemetry?step=1h&group=label:pod", "/telemetry?step=1h&group=host",
		"/telemetry?form=columns", "/telemetry?form=columns&limit=1", "/telemetry?form=columns&format=csv", "/telemetry?format=csv", "/telemetry?format=ndjson", "/telemetry?format=csv&limit=2",
		"/events", "/events?limit=1", "/events?limit=2&order=asc", "/events?host_id=g1", "/events?host_id=h1", "/events?gpu_id=GPU-9", "/events?records=true&limit=1", "/events?damaged=true",
		"/events?upload_id=upload-1&limit=2", "/events?metric=DCGM_FI_DEV_SECRET", "/events?after=12&before=17",
	} {
		got, want := followed(t, scoped, path), followed(t, only, path)
		if path == "/gpus" && !strings.Contains(got, "GPU-2") {
			t.Fatalf("%s: %s; the scope sees nothing", path, got)
		}
		if got != want {
			t.Errorf("%s: %s\nwant %s", path, got, want)
		}
		for _, name := range []string{"Secret", "SECRET", "secret", "999.9", `"g1`, `"g2`} {
			if strings.Contains(got, name) && !strings.Contains(path, strings.Trim(name, `"`)) {
				t.Errorf("%s names %s: %s", path, name, got)
			}
		}
		if cursor := nextCursor(getAnswer(t, only, http.MethodGet, "/api/v1"+path).body); cursor != "" && strings.Contains(path, "limit=1") {
			refused++
			if got := getAnswer(t, scoped, http.MethodGet, "/api/v1"+path+separator(path)+"cursor="+cursor); got.status != 400 {
				t.Errorf("%s with a cursor of another scope: %d, want 400", path, got.status)
			}
		}
	}
	if refused < 5 {
		t.Errorf("only %d cursors of another scope were tried", refused)
	}
}

// nextCursor returns the cursor of the next page.
func nextCursor(body []byte) string {
	_, rest, _ := strings.Cut(string(body), `"next_cursor":"`)
	cursor, _, _ := strings.Cut(rest, `"`)
	return cursor
}

func separator(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

// followed returns the answers of all pages from a path on.
func followed(t *testing.T, app *fiber.App, path string) (all string) {
	t.Helper()
	for next := path; next != ""; {
		got := getAnswer(t, app, http.MethodGet, "/api/v1"+next)
		all += fmt.Sprintln(got.status, changing.ReplaceAllString(string(got.body), "-"))
		cursor := nextCursor(got.body)
		if next = ""; cursor != "" {
			next = path + separator(path) + "cursor=" + cursor
		}
	}
	return all
}

func TestEventOfAnInvisibleHostIsAbsent(t *testing.T) {
	scoped, _ := scopedApps(t)
	f := newFleet()
	f.addRows(t, fleetOfTwo)
	for _, ev := range (appendedLog{fleet: f}).events() {
		got := getAnswer(t, scoped, http.MethodGet, "/api/v1/events?key="+ev.Key)
		absent := strings.ReplaceAll(string(getAnswer(t, scoped, http.MethodGet, "/api/v1/events?key=none").body), "none", ev.Key)
		visible := strings.HasPrefix(string(ev.Host), "h")
		if visible != (got.status == 200) || !visible && string(got.body) != absent {
			t.Errorf("event %s: %d %s", ev.Key, got.status, got.body)
		}
	}
}

func TestQuarantineOfInvisibleHostsIsAbsent(t *testing.T) {
	scoped, _ := scopedApps(t)
	for path, want := range map[string]string{
		"/quarantine":                "node-a 1",
		"/quarantine?partition=1":    "node-a 1",
		"/quarantine?partition=3":    " 0",
		"/quarantine?host_id=node-b": " 0",
	} {
		body := string(getAnswer(t, scoped, http.MethodGet, "/api/v1"+path).body)
		host := regexp.MustCompile(`"hostname":"([^"]*)"`).FindStringSubmatch(body)
		count := regexp.MustCompile(`"(?:total|count)":(\d+)`).FindStringSubmatch(body)
		if got := fmt.Sprintf("%s %s", append(host, "", "")[1], count[1]); got != want || strings.Contains(body, "node-b") {
			t.Errorf("%s: %q of %s, want %q", path, got, body, want)
		}
	}
	foreign, none := "/telemetry/queue/c/003/b", "/telemetry/queue/c/003/none"
	got := getAnswer(t, scoped, http.MethodPost, "/api/v1/quarantine/retry?key="+foreign)
	want := getAnswer(t, scoped, http.MethodPost, "/api/v1/quarantine/retry?key="+none)
	if got.status != 404 || string(got.body) != strings.ReplaceAll(string(want.body), none, foreign) {
		t.Errorf("retry of an invisible entry: %d %s, want %s", got.status, got.body, want.body)
	}
	if got := getAnswer(t, scoped, http.MethodPost, "/api/v1/quarantine/retry"); !strings.Contains(string(got.body), `"asked":1`) {
		t.Errorf("retry of all: %s, want 1", got.body)
	}
}

func TestNobodySeesAnEmptyFleet(t *testing.T) {
	f, empty := newFleet(), newFleet()
	f.addRows(t, fleetOfTwo)
	empty.series = make(historytest.Series)
	answers := func(f *fleet, p *access.Principal) *fiber.App {
		api := New(Config{}, f.facts, f.runHub(t), history.New(f, nil), f, nil)
		api.now = func() time.Time { return noon }
		return appFor(api, p)
	}
	nobody, nothing := answers(f, nil), answers(empty, access.Everybody())
	for _, path := range []string{"/gpus", "/hosts", "/telemetry", "/telemetry/latest", "/hosts/h1", "/cluster", "/telemetry?format=csv"} {
		got, want := getAnswer(t, nobody, http.MethodGet, "/api/v1"+path), getAnswer(t, nothing, http.MethodGet, "/api/v1"+path)
		if a, b := changing.ReplaceAllString(string(got.body), "-"), changing.ReplaceAllString(string(want.body), "-"); a != b {
			t.Errorf("%s: %s, want %s", path, a, b)
		}
	}
}

// No answer to a scope by namespace names another workload, or a GPU or host that none of its workloads uses now.
func TestOtherNamespacesAreNotNamed(t *testing.T) {
	f := newFleet()
	f.addRows(t, `
2025-07-18T10:10:00Z h1 uuid=GPU-1 index=0 pod=secret-old namespace=web | DCGM_FI_DEV_GPU_UTIL=11.125
2025-07-18T11:42:30Z h1 uuid=GPU-1 index=0 pod=mine namespace=ml | DCGM_FI_DEV_GPU_UTIL=1 DCGM_FI_DEV_GPU_TEMP=31
2025-07-18T11:42:31Z h1 uuid=GPU-1 index=0 part=pid:7 pod=secret-process namespace=web | DCGM_FI_DEV_GPU_UTIL=22.125
2025-07-18T11:42:32Z h1 uuid=GPU-2 index=1 pod=secret-pod namespace=web model=SECRET | DCGM_FI_DEV_GPU_UTIL=33.125
2025-07-18T11:42:33Z secret-host uuid=GPU-3 index=0 pod=other namespace=web | DCGM_FI_DEV_GPU_UTIL=44.125
2025-07-18T11:42:34Z secret-two uuid=GPU-4 index=0 | DCGM_FI_DEV_GPU_UTIL=55.125
`)
	scope, err := access.ParseScope("namespace=ml")
	if err != nil {
		t.Fatal(err)
	}
	api := New(Config{}, f.facts, f.runHub(t), history.New(f, nil), f, nil)
	api.now = func() time.Time { return noon }
	api.ServeLog(journal.New(appendedLog{fleet: f}))
	app := appFor(api, &access.Principal{ID: "ml", Roles: []access.Role{access.RoleRead, access.RoleAdmin}, Scope: scope})
	if got := followed(t, app, "/gpus"); !strings.Contains(got, `"pod":"mine"`) || !strings.Contains(got, "GPU-1") {
		t.Fatalf("its own GPU is missing: %s", got)
	}
	if got := followed(t, app, "/telemetry?limit=1"); !strings.Contains(got, `"pod":"mine"`) {
		t.Fatalf("its own history is missing: %s", got)
	}
	for _, path := range []string{
		"/gpus", "/hosts", "/hosts/h1", "/hosts/h1/gpus", "/gpus/GPU-1", "/gpus/GPU-2", "/gpus/GPU-3", "/gpus/h1:1", "/cluster", "/telemetry/latest", "/telemetry/latest?gpu_id=GPU-2",
		"/telemetry?limit=1", "/telemetry?gpu_id=GPU-2", "/telemetry?step=1h", "/telemetry?step=1h&group=label:pod", "/telemetry?step=1h&group=model", "/telemetry?form=columns",
		"/telemetry?form=columns&step=1h", "/telemetry?format=csv", "/telemetry?format=ndjson", "/gpus/GPU-1/telemetry", "/gpus/GPU-2/telemetry",
		"/gpus?as_of=2025-07-18T10:20:00Z", "/gpus/GPU-1?as_of=2025-07-18T10:20:00Z", "/telemetry/latest?as_of=2025-07-18T11:42:33Z", "/cluster?as_of=2025-07-18T11:42:33Z",
		"/events?records=true", "/events?limit=1", "/quarantine", "/telemetry?limit=1&explain=true",
	} {
		got := followed(t, app, path)
		for _, name := range []string{"secret", "SECRET", "web", "11.125", "22.125", "33.125", "44.125", "55.125", "GPU-3", "GPU-4", "node-a"} {
			if strings.Contains(got, name) && !strings.Contains(path, name) {
				t.Errorf("%s names %s: %s", path, name, got)
			}
		}
		if strings.Contains(got, "GPU-2") && !strings.Contains(path, "GPU-2") || strings.Contains(got, "objects_read") || strings.Contains(got, "chunks") {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// GPUs go from one namespace to another. Each has the history of its own records, of GPUs that it had too, and nothing from before
// it had a GPU.
func TestNamespacesHaveGPUsInTurn(t *testing.T) {
	f := newFleet()
	f.addRows(t, `
2025-07-18T10:05:00Z h1 uuid=GPU-3 index=2 pci=00000000:03:00.0 pod=z-3 namespace=team-z | DCGM_FI_DEV_GPU_UTIL=41.125 DCGM_FI_DEV_GPU_TEMP=42.125
2025-07-18T10:10:00Z h1 uuid=GPU-1 index=0 pci=00000000:01:00.0 pod=a-1 namespace=team-a | DCGM_FI_DEV_GPU_UTIL=11.125 DCGM_FI_DEV_GPU_TEMP=12.125
2025-07-18T10:11:00Z h2 uuid=GPU-4 index=0 pod=z-4 namespace=team-z | DCGM_FI_DEV_GPU_UTIL=51.125
2025-07-18T11:00:00Z h1 uuid=GPU-1 index=0 pci=00000000:01:00.0 pod=z-1 namespace=team-z | DCGM_FI_DEV_GPU_UTIL=21.125
2025-07-18T11:30:00Z h1 uuid=GPU-3 index=2 pci=00000000:03:00.0 pod=a-3 namespace=team-a | DCGM_FI_DEV_GPU_UTIL=31.125
2025-07-18T11:30:20Z h1 uuid=GPU-3 index=2 part=link:0 | DCGM_FI_DEV_GPU_UTIL=32.125
`)
	hub := f.runHub(t)
	as := func(text string) *fiber.App {
		scope, err := access.ParseScope(text)
		if err != nil {
			t.Fatal(err)
		}
		api := New(Config{}, f.facts, hub, history.New(f, nil), f, nil)
		api.now = func() time.Time { return noon }
		return appFor(api, &access.Principal{ID: text, Roles: []access.Role{access.RoleRead}, Scope: scope})
	}
	for _, scope := range []string{"namespace=team-a", "host=h1,namespace=team-a"} {
		app := as(scope)
		for path, want := range map[string]string{
			"/telemetry":                                   "11.125 12.125 31.125",
			"/telemetry?gpu_id=GPU-1":                      "11.125 12.125",
			"/telemetry?gpu_id=h1:0":                       "11.125 12.125",
			"/telemetry?gpu_id=h1:00000000:01:00.0":        "11.125 12.125",
			"/telemetry?gpu_id=GPU-3":                      "31.125",
			"/telemetry?gpu_id=GPU-4":                      "",
			"/telemetry?gpu_id=h2:0":                       "",
			"/telemetry?host_id=h2":                        "",
			"/telemetry?form=columns&limit=1":              "11.125 12.125 31.125",
			"/telemetry?step=1h":                           "11.125 12.125 31.125",
			"/telemetry?step=1h&group=host&form=columns":   "11.125 12.125 31.125",
			"/gpus/GPU-1":                                  "",
			"/gpus/GPU-1?as_of=2025-07-18T10:20:00Z":       "11.125 12.125",
			"/gpus/h1:0?as_of=2025-07-18T10:20:00Z":        "11.125 12.125",
			"/gpus/GPU-1?as_of=2025-07-18T11:10:00Z":       "",
			"/gpus/GPU-3":                                  "31.125 32.125",
			"/gpus/GPU-3?as_of=2025-07-18T10:20:00Z":       "",
			"/gpus/GPU-3?as_of=2025-07-18T11:40:00Z":       "31.125 32.125",
			"/telemetry/latest?as_of=2025-07-18T10:20:00Z": "11.125 12.125",
			"/gpus?as_of=2025-07-18T11:10:00Z":             "",
		} {
			got := followed(t, app, path)
			if all := strings.Join(numbers.FindAllString(got, -1), " "); sortedWords(all) != want {
				t.Errorf("%s: %s has the readings %q, want %q: %s", scope, path, sortedWords(all), want, got)
			}
			if strings.Contains(got, "team-z") || strings.Contains(got, "z-") {
				t.Errorf("%s: %s names another namespace: %s", scope, path, got)
			}
		}
		for _, pair := range [][2]string{
			{"/telemetry?gpu_id=GPU-4", "/telemetry?gpu_id=GPU-none"}, {"/telemetry?gpu_id=h2:0", "/telemetry?gpu_id=none:0"}, {"/telemetry?host_id=h2", "/telemetry?host_id=none"},
			{"/telemetry?gpu_id=GPU-4&explain=true", "/telemetry?gpu_id=GPU-none&explain=true"}, {"/telemetry?form=columns&host_id=h2", "/telemetry?form=columns&host_id=none"},
			{"/telemetry?form=columns&limit=1", "/telemetry?form=columns&limit=1&host_id=h1"}, {"/telemetry?step=1h&host_id=h2&explain=true", "/telemetry?step=1h&host_id=none&explain=true"},
			{"/gpus?as_of=2025-07-18T10:20:00Z", "/gpus?as_of=2025-07-18T10:20:00Z&host_id=h1"},
		} {
			got, want := getAnswer(t, app, http.MethodGet, "/api/v1"+pair[0]), getAnswer(t, app, http.MethodGet, "/api/v1"+pair[1])
			if a, b := viewTime.ReplaceAllString(string(got.body), "-"), viewTime.ReplaceAllString(string(want.body), "-"); got.status != want.status || a != b {
				t.Errorf("%s: %s is %s, and %s is %s", scope, pair[0], a, pair[1], b)
			}
		}
		for at, count := range map[string]string{"2025-07-18T10:20:00Z": "1", "2025-07-18T11:10:00Z": "0", "2025-07-18T11:40:00Z": "1"} {
			if got := followed(t, app, "/cluster?as_of="+at); !strings.Contains(got, `"gpus":{"total":`+count) && !strings.Contains(got, `"gpu_count":`+count) {
				t.Errorf("%s: the cluster as of %s is %s, want %s GPU", scope, at, got, count)
			}
		}
	}
}

// numbers matches the readings of TestNamespacesHaveGPUsInTurn, and viewTime the time of a view.
var (
	numbers  = regexp.MustCompile(`\b\d\d\.125\b`)
	viewTime = regexp.MustCompile(`"as_of":"[^"]*"`)
)

// sortedWords returns each word of a text once, sorted.
func sortedWords(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}
