package projections

import (
	"math"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/goldentest"
)

const (
	goldenGPU   = events.GPUID("GPU-0a1b2c3d-1111-2222-3333-444455556666")
	goldenOther = events.GPUID("GPU-0a1b2c3d-1111-2222-3333-444455557777")
	goldenAt    = events.Timestamp(1752871354_000000000) // 2025-07-18T20:42:34Z
	goldenTick  = events.Timestamp(1_000_000_000)
)

func goldenNumber(mantissa int64, exponent int16) events.Value {
	return events.Value{Number: events.NumberOf(mantissa, exponent)}
}

func goldenAbsent(reason events.Reason, raw string) events.Value {
	return events.Value{Absent: reason, Raw: raw}
}

// goldenLives are the models of the golden files of live models, by the files' names without their form.
func goldenLives() map[string]Live {
	power := func(at events.Timestamp, v events.Value) Latest {
		return Latest{Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "power.draw [W]", At: at, Value: v}
	}
	temp := func(at events.Timestamp, v events.Value) Latest {
		return Latest{Metric: "DCGM_FI_DEV_GPU_TEMP", Source: "DCGM_FI_DEV_GPU_TEMP", At: at, Value: v}
	}
	late := goldenAt - 3600*goldenTick
	return map[string]Live{
		"live-empty": {},
		"live": {Appended: goldenAt + 17, Entities: []LiveEntity{
			{ // of the host itself; its readings are older than it was seen
				Entity: events.Entity{}, SeenAt: goldenAt - goldenTick, Appended: goldenAt + 17,
				Workload: &Workload{At: late, Metric: "DCGM_FI_DEV_GPU_TEMP", Source: "t", Labels: []events.Label{{Name: "instance", Value: "node-1:9400"}, {Name: "job", Value: ""}}},
				Latest:   []Latest{temp(late, goldenNumber(-5, 0))},
			},
			{
				Entity: events.Entity{GPU: goldenGPU}, SeenAt: goldenAt, Appended: goldenAt + 17,
				Said: []Said{
					{string(goldenGPU), goldenAt, FieldUUID}, {"3", goldenAt, FieldIndex}, {"00000000:1b:00.0", late, FieldPCI}, {"nvidia3", goldenAt, FieldDevice},
					{"NVIDIA H100 80GB HBM3", goldenAt, FieldModel}, {"535.129.03", late, FieldDriver},
				},
				Workload: &Workload{At: goldenAt, Metric: "DCGM_FI_DEV_GPU_TEMP", Source: "DCGM_FI_DEV_GPU_TEMP", Pod: "train-0", Namespace: "ml", Container: "main"},
				Latest:   []Latest{temp(goldenAt, goldenNumber(41, 0)), power(goldenAt, goldenNumber(66781, -3))},
				Ahead:    []Latest{power(goldenAt+3600*goldenTick, goldenNumber(7, 1)), power(goldenAt+7200*goldenTick, goldenAbsent(events.Blank, " "))},
			},
			{ // absent readings, with and without a raw text
				Entity: events.Entity{GPU: goldenGPU, Part: "mig:1"}, SeenAt: goldenAt, Appended: late,
				Said: []Said{{"1", goldenAt, FieldMIG}, {"1g.10gb", goldenAt, FieldMIGProfile}},
				Latest: []Latest{
					{Metric: "a", Source: "a", At: goldenAt, Value: goldenAbsent(events.NotSupported, "[N/A]")},
					{Metric: "b", Source: "", At: late, Value: goldenAbsent(events.Blank, "")},
					{Metric: "c", Source: "c", At: goldenAt, Value: goldenNumber(0, 0)},
				},
			},
			{ // the shape of the first GPU, at other times and with exponents that no mantissa shares
				Entity: events.Entity{GPU: goldenOther}, SeenAt: goldenAt,
				Latest: []Latest{temp(goldenAt, goldenNumber(39, 0)), power(late, goldenNumber(math.MinInt64+1, 20))},
			},
			{ // the shape of the MIG instance: one reading of the column is present, the other is not
				Entity: events.Entity{GPU: "node-1:3"}, SeenAt: goldenAt,
				Latest: []Latest{
					{Metric: "a", Source: "a", At: goldenAt, Value: goldenNumber(12, 3)},
					{Metric: "b", Source: "", At: goldenAt, Value: goldenNumber(-7, 2)},
					{Metric: "c", Source: "c", At: goldenAt, Value: goldenNumber(25, -2)},
				},
			},
			{Entity: events.Entity{GPU: "node-1:4"}, Ahead: []Latest{temp(goldenAt+3600*goldenTick, goldenNumber(1, 0))}}, // no readings yet
		}},
		"live-nanoseconds": {Entities: []LiveEntity{{
			Entity: events.Entity{GPU: "MIG-0a1b2c3d-1111-2222-3333-444455556666"}, SeenAt: goldenAt + 1,
			Latest: []Latest{temp(-1, goldenNumber(1, 0)), power(goldenAt+1, goldenNumber(math.MaxInt64, math.MaxInt16))},
		}}},
	}
}

// goldenIdentities are the models of the golden files of identity models.
func goldenIdentities() map[string]Identity {
	windows := []WindowRange{{First: -12, Last: -12}, {First: 486908, Last: 486910}, {First: 487000, Last: 487000}}
	return map[string]Identity{
		"identity-empty": {},
		"identity": {
			GPUs: []KnownGPU{
				{Name: "", FirstSeen: goldenAt, Windows: windows[1:2]},
				{
					Name: goldenGPU, FirstSeen: goldenAt - 90*goldenTick/1000, Windows: windows, Listed: windows[2:], Stated: windows[1:2],
					Runs: []Run{
						{FieldUUID, string(goldenGPU), goldenAt, 486910},
						{FieldIndex, "3", Window(-12).Start(), -12},
						{FieldIndex, "3", goldenAt, 486910},
						{FieldIndex, "4", goldenAt + goldenTick, 487000},
						{FieldMIGProfile, strings.Repeat("p", 130), goldenAt, 486908},
					},
					Parts: []KnownPart{{Name: "mig:1", FirstSeen: goldenAt}, {Name: "nvlink:3", FirstSeen: goldenAt + 1}},
				},
				{Name: "node-1:3", FirstSeen: goldenAt, Windows: windows[1:2]},
			},
			Windows: windows,
		},
		"identity-joined": {Joined: Joined{Node: "node-1", At: goldenAt}},
	}
}

// goldenSeries are the models of the golden files of series chunks.
func goldenSeries() map[string]HostWindow {
	scrape := []events.Timestamp{goldenAt, goldenAt + 10*goldenTick, goldenAt + 20*goldenTick, goldenAt + 600*goldenTick}
	one := []events.Timestamp{goldenAt - 5*goldenTick/100}
	column := func(gpu events.GPUID, part, metric, source string, id events.IdentityID, s events.Samples) Column {
		return Column{Entity: events.Entity{GPU: gpu, Part: part}, Metric: metric, Source: source, Identity: id, Samples: s}
	}
	plain := func(mantissas ...int64) events.Samples {
		return events.Samples{Times: scrape, Mantissas: mantissas, Exponent: -1}
	}
	every := events.Identity{
		UUID: string(goldenGPU), Index: "3", PCI: "00000000:1b:00.0", Device: "nvidia3", Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03",
		MIG: "1", MIGProfile: "1g.10gb", Pod: "train-0", Namespace: "ml", Container: "main", Part: "mig:1",
		Labels: []events.Label{{Name: "instance", Value: "node-1:9400"}, {Name: "job", Value: ""}, {Name: "zone", Value: "é"}},
	}
	contents := map[events.IdentityID]*events.Identity{}
	idOf := func(id events.Identity) events.IdentityID {
		contents[id.ID()] = &id
		return id.ID()
	}
	host, first, second := idOf(events.Identity{}), idOf(every), idOf(events.Identity{UUID: string(goldenOther), Part: strings.Repeat("p", 130)})
	third := idOf(events.Identity{Index: "0"})
	return map[string]HostWindow{
		"series-empty": {},
		"series": NewHostWindow(canonicalColumns([]Column{
			column("", "", "fleetint_events", "", host, events.Samples{Times: one, Mantissas: []int64{-3}, Exponent: 4}),
			column(goldenGPU, "", "DCGM_FI_DEV_GPU_TEMP", "temperature.gpu", first, plain(410, 405, 421, -12)),
			column(goldenGPU, "", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_POWER_USAGE", first, events.Samples{
				Times: scrape, Mantissas: []int64{0, 66781, 0, 66790}, Exponent: -3,
				Absent: []events.Absence{{Row: 0, Reason: events.NotFound, Raw: "N/A"}, {Row: 2, Reason: events.Blank}},
			}),
			column(goldenGPU, "mig:1", "a", "a", second, events.Samples{
				Times: scrape, Mantissas: []int64{math.MaxInt64, 1, math.MinInt64, 0}, Exponents: []int16{-300, 7, 20, 0},
				Absent: []events.Absence{{Row: 3, Reason: events.Implausible, Raw: "1e999"}},
			}),
			column(goldenOther, "", "DCGM_FI_DEV_GPU_TEMP", "temperature.gpu", first, plain(390, 391, 392, 393)),
			column(goldenOther, "", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_POWER_USAGE", first, plain(1, 2, 4, 8)),
			column(goldenOther, "", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_POWER_USAGE", third, events.Samples{
				Times: one, Mantissas: []int64{0}, Absent: []events.Absence{{Row: 0, Reason: events.Lost, Raw: "GPU is lost"}},
			}),
		}), contents),
	}
}

// TestStoredBytes compares what the encoders write with golden files of the present form numbers.
func TestStoredBytes(t *testing.T) {
	for name, l := range goldenLives() {
		goldentest.CheckWritten(t, name, liveForm, AppendLive(nil, &l))
	}
	for name, id := range goldenIdentities() {
		goldentest.CheckWritten(t, name, identityForm, AppendIdentity(nil, &id))
	}
	for name, s := range goldenSeries() {
		goldentest.CheckWritten(t, name, seriesForm, AppendHostWindow(nil, &s))
	}
}

// TestStoredBytesStayReadable reads golden files of the forms of this version of the models.
func TestStoredBytesStayReadable(t *testing.T) {
	goldentest.CheckReadableFrom(t, "live", 2, liveForm, goldenLives(), ParseLive)
	goldentest.CheckReadableFrom(t, "identity", 2, identityForm, goldenIdentities(), ParseIdentity)
	goldentest.CheckReadableFrom(t, "series", 2, seriesForm, goldenSeries(), ParseHostWindow)
}

// TestFormsOfOlderVersionsAreRefused reads golden files of form 1, whose models another version of the program folded.
func TestFormsOfOlderVersionsAreRefused(t *testing.T) {
	for _, name := range []string{"live", "identity", "series"} {
		model := goldentest.Read(t, name, 1)
		_, err1 := ParseLive(model)
		_, err2 := ParseIdentity(model)
		_, err3 := ParseHostWindow(model)
		for _, err := range []error{err1, err2, err3} {
			if err == nil || !strings.Contains(err.Error(), "form 1 of an older program") {
				t.Errorf("%s: got error %v, want one that names the older program", name, err)
			}
		}
	}
}

// TestLaterFormsAreRefused changes the form number of each model.
func TestLaterFormsAreRefused(t *testing.T) {
	live, identity, series := goldenLives()["live"], goldenIdentities()["identity"], goldenSeries()["series"]
	later := func(model []byte) []byte {
		model[0]++
		return model
	}
	_, err1 := ParseLive(later(AppendLive(nil, &live)))
	_, err2 := ParseIdentity(later(AppendIdentity(nil, &identity)))
	_, err3 := ParseHostWindow(later(AppendHostWindow(nil, &series)))
	for _, err := range []error{err1, err2, err3} {
		if err == nil || !strings.Contains(err.Error(), "a newer one may have written it") {
			t.Errorf("a model of a later form: got error %v, want one that names the newer program", err)
		}
	}
}
