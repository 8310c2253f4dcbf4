package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var (
	noon  = time.Date(2025, 7, 18, 12, 0, 0, 0, time.UTC)
	power = reading{"GPU-1", "DCGM_FI_DEV_POWER_USAGE", noon.UnixNano()}
	temp  = reading{"GPU-1", "DCGM_FI_DEV_GPU_TEMP", noon.UnixNano()}
)

// page is an answer of history with one GPU at noon.
func page(watts, absent string) entry {
	e := entry{ID: "GPU-1", Timestamp: noon, Metrics: map[string]json.Number{}, Absent: map[string]string{}}
	if watts != "" {
		e.Metrics[power.metric] = json.Number(watts)
	}
	if absent != "" {
		e.Absent[temp.metric] = absent
	}
	return e
}

// expect holds that a verdict failed and said why, or held where why is empty.
func expect(t *testing.T, v verdict, why string) {
	t.Helper()
	answered := strings.Join(v.broken, "; ")
	if why == "" && !v.ok() || why != "" && !strings.Contains(answered, why) {
		t.Errorf("%q: looked at %d things, %d broken: %s; want %q", v.promise, v.checked, v.failed, answered, why)
	}
}

func TestRecordsAreHeldAgainstWhatWasAcknowledged(t *testing.T) {
	sent := map[reading]string{power: "66.781", temp: absentBlank}
	both, one := map[reading]bool{power: true, temp: true}, map[reading]bool{power: true}
	good := page("66.781", "blank")
	further := page("66.781", "")
	further.Others = []any{"another value"}
	for name, c := range map[string]struct {
		answered       []entry
		acked          map[reading]bool
		kept, invented string
	}{
		"all there":                    {answered: []entry{good}, acked: both},
		"one that was not promised":    {answered: []entry{page("66.781", "")}, acked: one},
		"lost":                         {answered: []entry{page("66.781", "")}, acked: both, kept: "acknowledged, is not there"},
		"all lost":                     {acked: both, kept: "acknowledged, is not there", invented: "none"},
		"twice":                        {answered: []entry{good, good}, acked: both, kept: "is there twice"},
		"changed":                      {answered: []entry{page("66.78", "blank")}, acked: both, kept: "is 66.78, sent was 66.781"},
		"another reason":               {answered: []entry{page("66.781", "lost")}, acked: both, kept: "is absent:lost, sent was absent:blank"},
		"never sent":                   {answered: []entry{good, {ID: "GPU-2", Timestamp: noon, Metrics: map[string]json.Number{"x": "1"}}}, acked: both, invented: "was never sent"},
		"not promised, and changed":    {answered: []entry{page("66.781", "lost")}, acked: one, invented: "is absent:lost"},
		"a second value, at one time":  {answered: []entry{further}, acked: one, invented: "has further readings"},
		"a number in place of a blank": {answered: []entry{{ID: "GPU-1", Timestamp: noon, Metrics: map[string]json.Number{temp.metric: "0"}}}, acked: map[reading]bool{temp: true}, kept: "is 0, sent was absent:blank"},
	} {
		t.Run(name, func(t *testing.T) {
			all := checkRecords("queryd-0", c.answered, sent, c.acked)
			expect(t, all[0], c.kept)
			if c.invented == "none" {
				if all[1].ok() {
					t.Error("a promise held of which nothing was seen")
				}
				return
			}
			expect(t, all[1], c.invented)
		})
	}
}

func TestOrderOfHistoryIsHeld(t *testing.T) {
	at := func(id string, seconds int) entry {
		return entry{ID: id, Timestamp: noon.Add(time.Duration(seconds) * time.Second)}
	}
	expect(t, checkOrder("queryd-0", []entry{at("a", 2), at("b", 2), at("a", 1)}), "")
	expect(t, checkOrder("queryd-0", []entry{at("a", 1), at("b", 2)}), "newest first")
	expect(t, checkOrder("queryd-0", []entry{at("a", 1), at("b", 1), at("a", 1)}), "of a comes after")
}

func TestFilesOfTheWorkloadSayWhatTheLedgerNotes(t *testing.T) {
	w, kinds, values := newWorkload(7), map[string]int{}, map[reading]string{}
	for range 300 {
		u := w.nextUpload()
		kinds[u.kind]++
		if u.cutAt >= len(u.content) || u.rows[len(u.rows)-1].end != len(u.content) {
			t.Fatalf("%s: cut at %d of %d bytes, rows end at %d", u.name, u.cutAt, len(u.content), u.rows[len(u.rows)-1].end)
		}
		for _, row := range u.rows {
			for i, r := range row.readings {
				if was, known := values[r]; known && was != row.values[i] {
					t.Fatalf("%s: %s is %s, and was %s in another file", u.name, r, row.values[i], was)
				}
				values[r] = row.values[i]
			}
		}
	}
	for _, kind := range []string{"new", "new, wide", "late", "overlapping", "repeated"} {
		if kinds[kind] == 0 {
			t.Errorf("no upload of 300 is %s: %v", kind, kinds)
		}
	}
	if again := newWorkload(7); string(again.nextUpload().content) != string(newWorkload(7).nextUpload().content) {
		t.Error("the same seed gave another file")
	}
}

func TestAnUploadThatIsCutOffSendsOnlyWholeRows(t *testing.T) {
	u := file("new", scrape{hosts: []int{0}, at: noon})
	l := newLedger()
	l.sending(&u, u.rows[2].end-1)
	if len(l.sent) != 2 {
		t.Errorf("%d records were noted as sent, want the 2 whose rows were whole", len(l.sent))
	}
}

func TestAnAnswerThatLacksWhatWasAcknowledgedIsNoticed(t *testing.T) {
	want := map[reading]string{power: "66.781", temp: absentBlank}
	if lacks := missingReadings(want, []entry{page("66.781", "blank")}); len(lacks) != 0 {
		t.Errorf("it lacks %v, want nothing", lacks)
	}
	if lacks := missingReadings(want, []entry{page("66.78", "blank")}); len(lacks) != 1 || lacks[0] != power {
		t.Errorf("it lacks %v, want the reading that differs", lacks)
	}
	if lacks := missingReadings(want, nil); len(lacks) != 2 {
		t.Errorf("it lacks %v, want both", lacks)
	}
}
