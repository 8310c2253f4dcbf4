package main

import (
	"net/url"
	"testing"
	"time"

	"telemetry-pipeline/deploy/fleet"
)

func plannedData() *historyData {
	return &historyData{
		Plan: historyPlan{GPUs: 16, Days: 7, Every: time.Minute, DayEvery: 10 * time.Second, HotHours: 5, Seed: 1},
		End:  time.Date(2026, 1, 8, 12, 0, 0, 0, time.UTC),
	}
}

func TestSpansFollowEachOther(t *testing.T) {
	t.Parallel()
	d := plannedData()
	spans := d.spans()
	if len(spans) != 3 || !spans[0].to.Equal(spans[1].from) || spans[2].from.Sub(spans[1].to) != coldGap || !spans[2].to.Equal(d.End) {
		t.Fatalf("the spans are %v", spans)
	}
	if week := spans[1].to.Sub(spans[0].from); week != 7*24*time.Hour {
		t.Errorf("the days are %s, want 7 days", week)
	}
	// A day later the hours are still in etcd, and the days before them are not.
	window := d.hotWindow(d.End.Add(24 * time.Hour))
	since := d.End.Add(24 * time.Hour).Add(-window)
	if since.After(d.hotFrom()) || !since.After(d.coldUntil()) {
		t.Errorf("the hot window begins at %s, want it between %s and %s", since, d.coldUntil(), d.hotFrom())
	}
}

func TestFilesOfASpanHoldAllSamples(t *testing.T) {
	t.Parallel()
	s := span{at, at.Add(2 * time.Hour), time.Second}
	records, files := int64(0), 0
	for file, err := range generate(t.Context(), fleet.New(16, 1), 16, s) {
		if err != nil {
			t.Fatal(err)
		}
		records += file.records
		files++
	}
	if records != 7200*16*10 || files != 2 {
		t.Errorf("%d records in %d files, want %d in 2", records, files, 7200*16*10)
	}
	for range generate(t.Context(), fleet.New(16, 1), 16, s) {
		break // its goroutine ends, or this test does not
	}
}

func TestBothServersAreAskedForTheSameSteps(t *testing.T) {
	t.Parallel()
	d := plannedData()
	gpus := fleet.New(16, 1)
	f, err := formNamed("columns")
	if err != nil {
		t.Fatal(err)
	}
	q := historyQuery{fleet: true, from: d.dayFrom(), to: d.coldUntil(), step: time.Hour}
	ours, theirs := parseURL(t, q.ourURL("http://a", f, gpus, 1)), parseURL(t, q.victoriaURL("http://b", gpus, 1))
	for name, want := range map[string]string{
		"start_time": "2026-01-07T06:00:00Z", "end_time": "2026-01-08T05:59:59.999999999Z", "step": "3600s", "agg": "avg", "metric": "DCGM_FI_DEV_POWER_USAGE", "form": "columns",
	} {
		if got := ours.Query().Get(name); got != want {
			t.Errorf("our %s is %q, want %q", name, got, want)
		}
	}
	// The first value stands at the last millisecond of the first hour.
	for name, want := range map[string]string{
		"start": "1767769199.999", "end": "1767851999.999", "step": "3600s", "query": "avg_over_time(DCGM_FI_DEV_POWER_USAGE[3600s])", "nocache": "1",
	} {
		if got := theirs.Query().Get(name); got != want {
			t.Errorf("their %s is %q, want %q", name, got, want)
		}
	}
	if f.query.Has("start_time") {
		t.Error("a question changed the form's parameters")
	}
	raw := historyQuery{all: true, from: d.dayFrom(), to: d.coldUntil()}
	if got := parseURL(t, raw.ourURL("http://a", f, gpus, 3)); got.Path != "/api/v1/gpus/"+gpus.GPU(3).UUID+"/telemetry" || got.Query().Has("metric") || got.Query().Has("step") {
		t.Errorf("all readings of a GPU are asked for at %s", got)
	}
	if got := parseURL(t, raw.victoriaURL("http://b", gpus, 3)).Query().Get("match[]"); got != `{uuid="`+gpus.GPU(3).UUID+`"}` {
		t.Errorf("their selector is %s", got)
	}
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestListsOfAllServersAreEqual(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"graphql": `{"data":{"gpus":[{"id":"` + gpu + `","metrics":{"DCGM_FI_DEV_GPU_UTIL":55}}]}}`,
		"rest":    `{"success":true,"data":[{"id":"` + gpu + `","metrics":{"DCGM_FI_DEV_GPU_UTIL":55}}],"count":1}`,
		"peer":    `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"DCGM_FI_DEV_GPU_UTIL","uuid":"` + gpu + `"},"value":[1767243600,"55"]}]}}`,
	} {
		got, err := parseList([]byte(text))
		if err != nil || compareAnswers(got, answer{{gpu, "DCGM_FI_DEV_GPU_UTIL", 0}: 55}, exactly) != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestTimeOfAnUpdateIsFound(t *testing.T) {
	t.Parallel()
	got, found := newestTime([]byte(`{"t":"upd","id":"s","rev":"1","items":[{"gpu":"g","host":"h","ts":"2026-01-01T05:00:00Z","m":{"DCGM_FI_DEV_GPU_UTIL":55}}]}`))
	if !found || !got.Equal(at) {
		t.Errorf("got %s, %t; want %s", got, found, at)
	}
	if _, found := newestTime([]byte(`{"t":"upd","id":"s","rev":"1","del":["g"]}`)); found {
		t.Error("an update without readings has a time")
	}
}

func TestFlagsThatAreGivenHoldInAQuickRun(t *testing.T) {
	t.Parallel()
	set, err := parseFlags([]string{"-quick", "-history.gpus", "256", "-only", "history,file"})
	if err != nil {
		t.Fatal(err)
	}
	if set.history.GPUs != 256 || set.history.Days != 2 || set.rounds != 3 || len(set.only) != 2 {
		t.Errorf("the settings are %+v", set)
	}
	for _, bad := range [][]string{{"-only", "histories"}, {"-rounds", "0"}, {"-quick", "-docs", "docs"}} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
