package main

import (
	"maps"
	"strings"
	"testing"
	"time"
)

const gpu = "GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"

// at is a whole hour.
var at = time.Date(2026, 1, 1, 5, 0, 0, 0, time.UTC)

func TestAllFormsOfAnAnswerAreEqual(t *testing.T) {
	t.Parallel()
	want := answer{{gpu, "DCGM_FI_DEV_POWER_USAGE", at.UnixMilli()}: 67.2}
	for name, page := range map[string]string{
		"json":    `{"success":true,"data":[{"timestamp":"2026-01-01T05:00:00Z","id":"` + gpu + `","host_id":"n1","metrics":{"DCGM_FI_DEV_POWER_USAGE":67.2}}],"count":1}`,
		"columns": `{"success":true,"data":[{"id":"` + gpu + `","host_id":"n1","metric":"DCGM_FI_DEV_POWER_USAGE","times":[1767243600],"values":[67.2]}]}`,
		"csv":     "timestamp,host_id,id,part,metric_name,avg,last\r\n2026-01-01T05:00:00Z,n1," + gpu + ",,DCGM_FI_DEV_POWER_USAGE,67.2,\r\n",
	} {
		f, err := formNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		got := answer{}
		if err := f.parse([]byte(page), got); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
	raw := answer{}
	page := "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\r\n" +
		"2026-01-01T05:00:00Z,DCGM_FI_DEV_POWER_USAGE,0,nvidia0," + gpu + ",H100,n1,,,,67.2,\r\n"
	if err := parseCSV([]byte(page), raw); err != nil || !maps.Equal(raw, want) {
		t.Errorf("raw CSV: got %v, %v; want %v", raw, err, want)
	}
	exported, err := parseExport([]byte(`{"metric":{"__name__":"DCGM_FI_DEV_POWER_USAGE","uuid":"` + gpu + `"},"values":[67.2],"timestamps":[1767243600000]}` + "\n"))
	if err != nil || !maps.Equal(exported, want) {
		t.Errorf("export: got %v, %v; want %v", exported, err, want)
	}
	// Their step ends where the value stands.
	summed, err := parseRange([]byte(`{"data":{"result":[{"metric":{"uuid":"`+gpu+`"},"values":[[1767247199.999,"67.2"]]}]}}`), "DCGM_FI_DEV_POWER_USAGE", time.Hour)
	if err != nil || !maps.Equal(summed, want) {
		t.Errorf("range: got %v, %v; want %v", summed, err, want)
	}
}

func TestDamagedAnswersAreErrors(t *testing.T) {
	t.Parallel()
	for name, parse := range map[string]func() error{
		"twice": func() error {
			return parseCSV([]byte("timestamp,id,metric_name,avg\n"+strings.Repeat("2026-01-01T05:00:00Z,g,m,1\n", 2)), answer{})
		},
		"unknown columns": func() error { return parseCSV([]byte("a,b\n"), answer{}) },
		"no number": func() error {
			return parseCSV([]byte("timestamp,id,metric_name,avg\n2026-01-01T05:00:00Z,g,m,\n"), answer{})
		},
		"fewer values": func() error {
			return parseColumns([]byte(`{"data":[{"id":"g","metric":"m","times":[1,2],"values":[1]}]}`), answer{})
		},
		"absent": func() error {
			return parseColumns([]byte(`{"data":[{"id":"g","metric":"m","times":[1],"values":[null]}]}`), answer{})
		},
		"cut JSON": func() error { return parseEntries([]byte(`{"data":[`), answer{}) },
		"fewer times": func() error {
			_, err := parseExport([]byte(`{"metric":{},"values":[1,2],"timestamps":[1]}`))
			return err
		},
	} {
		if parse() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAnswersThatDifferAreFound(t *testing.T) {
	t.Parallel()
	full := answer{{"a", "m", 1}: 1, {"a", "m", 2}: 1e6}
	near, off, less := maps.Clone(full), maps.Clone(full), answer{{"a", "m", 1}: 1}
	near[sample{"a", "m", 2}] = 1e6 + 1e-5
	off[sample{"a", "m", 2}] = 1e6 + 1
	for _, c := range []struct {
		name         string
		ours, theirs answer
		tolerance    float64
		equal        bool
	}{
		{"equal", full, full, exactly, true}, {"within the tolerance", near, full, asAverages, true}, {"not exactly", near, full, exactly, false},
		{"another number", off, full, asAverages, false}, {"fewer here", less, full, asAverages, false}, {"fewer there", full, less, asAverages, false},
		{"nothing", answer{}, answer{}, asAverages, false},
	} {
		if err := compareAnswers(c.ours, c.theirs, c.tolerance); (err == nil) != c.equal {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCursorIsFoundAtTheEndOfAPage(t *testing.T) {
	t.Parallel()
	page := `{"data":[` + strings.Repeat(" ", 5000) + `],"count":1,"next_cursor":"abc"}`
	if got := nextCursor([]byte(page)); got != "abc" {
		t.Errorf("the cursor is %q, want abc", got)
	}
	if got := nextCursor([]byte(`{"data":[],"count":0}`)); got != "" {
		t.Errorf("the last page has the cursor %q", got)
	}
}
