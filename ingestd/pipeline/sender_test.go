package pipeline

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/intake"
)

// sendAs uploads a file of a sender with a scope and returns its receipt.
func (r *rig) sendAs(t testing.TB, scope, text string, query map[string]string) (*answer.Receipt, error) {
	t.Helper()
	p, err := ParseParameters(query, "UTC", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	selected, err := access.ParseScope(scope)
	if err != nil {
		t.Fatal(err)
	}
	p.Sender = &Sender{ID: "team-a", Scope: selected}
	rec := answer.NewReceipt()
	b := intake.NewBody(nil, 0, func(time.Time) error { return nil }, intake.Config{})
	_, err = r.ProcessFile(t.Context(), intake.NewFile("", strings.NewReader(text), b.StopReading), p, rec)
	return rec, err
}

// storedHosts returns the hosts of the events in the rig's log.
func (r *rig) storedHosts(t testing.TB) string {
	t.Helper()
	hosts := map[string]bool{}
	for _, e := range r.log.StoredEvents(t) {
		hosts[string(e.Host)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(hosts)), " ")
}

const wideText = "timestamp,Hostname,gpu,DCGM_FI_DEV_GPU_TEMP,DCGM_FI_DEV_POWER_USAGE\n" +
	"2025-07-18T20:42:34Z,a-1,0,40,100.5\n2025-07-18T20:42:34Z,b-1,0,41,101.5\n"

const scrapeText = `# TYPE DCGM_FI_DEV_GPU_TEMP gauge
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-604ac76c-d9cf-fef3-62e9-000000000001",Hostname="a-1",namespace="team-a",pod="x"} 40
DCGM_FI_DEV_GPU_TEMP{gpu="1",UUID="GPU-604ac76c-d9cf-fef3-62e9-000000000002",Hostname="a-1",namespace="team-b",pod="y"} 41
DCGM_FI_DEV_GPU_TEMP{gpu="2",UUID="GPU-604ac76c-d9cf-fef3-62e9-000000000003",Hostname="a-1"} 42
DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-604ac76c-d9cf-fef3-62e9-000000000004",Hostname="b-1",namespace="team-a",pod="z"} 43
`

// TestRowsOutsideOfTheScopeAreRejected: such a row costs itself, and nothing else of the file.
func TestRowsOutsideOfTheScopeAreRejected(t *testing.T) {
	temp := "DCGM_FI_DEV_GPU_TEMP"
	long := boundHeader + row("a-1", 0, temp, "", boundTime) + row("b-1", 0, temp, "", boundTime) + "bad\n" + row("a-2", 0, temp, "", boundTime) + row("b-1", 1, temp, "", boundTime)
	for _, test := range []struct {
		name, scope, text string
		query             map[string]string
		accepted          int64
		rejected, hosts   string
	}{
		{"everything", "*", long, nil, 4, "4 bad the row has 1 cell, the header has 6", "a-1 a-2 b-1"},
		{"hosts", "host=a-*", long, nil, 2, "3 b-1 not_permitted, 4 bad the row has 1 cell, the header has 6, 6 b-1 not_permitted", "a-1 a-2"},
		{"wide rows", "host=a-*", wideText, nil, 2, "3 b-1 not_permitted", "a-1"},
		{"a scrape", "host=a-*", scrapeText, nil, 3, "5 b-1 not_permitted", "a-1"},
		{"namespaces", "namespace=team-a", scrapeText, nil, 2, "3 team-b not_permitted, 4  not_permitted", "a-1 b-1"},
		{"namespaces of hosts", "host=b-*,namespace=team-a", scrapeText, nil, 1, "2 a-1 not_permitted, 3 a-1 not_permitted, 4 a-1 not_permitted", "b-1"},
		{"the host of the query", "host=a-*", "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\nDCGM_FI_DEV_GPU_TEMP{gpu=\"0\"} 40\n", map[string]string{"host": "a-9"}, 1, "", "a-9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(bounds.Config{})
			rec, err := r.sendAs(t, test.scope, test.text, test.query)
			if err != nil {
				t.Fatal(err)
			}
			if got := reasons(rec); rec.Accepted != test.accepted || got != test.rejected {
				t.Errorf("accepted %d, rejected %s; want %d, %s", rec.Accepted, got, test.accepted, test.rejected)
			}
			if got := r.storedHosts(t); got != test.hosts {
				t.Errorf("stored hosts %s, want %s", got, test.hosts)
			}
			checked := newRig(bounds.Config{})
			query := maps.Clone(test.query)
			if query == nil {
				query = map[string]string{}
			}
			query["dry_run"] = "true"
			dry, err := checked.sendAs(t, test.scope, test.text, query)
			if err != nil || dry.WouldAccept != test.accepted || reasons(dry) != test.rejected {
				t.Errorf("a dry run would accept %d, and rejects %s, %v", dry.WouldAccept, reasons(dry), err)
			}
		})
	}
}

// TestReasonsNameHostAndSender: people learn from a rejection what to do.
func TestReasonsNameHostAndSender(t *testing.T) {
	rec, _ := newRig(bounds.Config{}).sendAs(t, "host=b-*,namespace=team-a", scrapeText, nil)
	want := "not_permitted: team-a may not send telemetry of host a-1; send it as a principal whose scope has it, or have it added to this scope"
	if got := rec.Errors[0].Reason; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestFileOutsideOfTheScopeIsRefused: it leaves nothing behind, neither events nor hosts that count.
func TestFileOutsideOfTheScopeIsRefused(t *testing.T) {
	samples := map[string]string{
		"long": string(dialecttest.Sample(t, "dcgm_metrics_20250718_134233.csv")), "wide": wideText, "scrape": scrapeText,
		"nvidia-smi": "timestamp, index, uuid, temperature.gpu\n2025/07/18 20:42:34.000, 0, GPU-604ac76c-d9cf-fef3-62e9-000000000001, 40\n",
		"dmon":       "# gpu   pwr gtemp\n# Idx     W     C\n    0    30    40\n",
	}
	for name, text := range samples {
		r := newRig(bounds.Config{Hosts: 1})
		query := map[string]string{}
		switch name {
		case "nvidia-smi":
			query["host"] = "b-1"
		case "dmon":
			query["host"], query["start"] = "b-1", boundTime
		}
		rec, err := r.sendAs(t, "host=other-*", text, query)
		if refusal := answer.RefusalOf(err); refusal.Code != answer.CodeNoUsableRows || rec.RecordCount != 0 || rec.Rejected == 0 {
			t.Errorf("%s: got %v, %+v", name, err, rec)
		}
		if hosts := r.storedHosts(t); hosts != "" {
			t.Errorf("%s: stored hosts %s", name, hosts)
		}
		if rec, err := r.sendAs(t, "host=other-*", boundHeader+row("other-1", 0, "m", "", boundTime), nil); err != nil || rec.Accepted != 1 {
			t.Errorf("%s: the only host that fits: got %v, %+v", name, err, rec)
		}
	}
}

// TestStrictUploadIsRefusedForARowOutsideOfTheScope: such a row is a bad row.
func TestStrictUploadIsRefusedForARowOutsideOfTheScope(t *testing.T) {
	r := newRig(bounds.Config{})
	r.keepFile = func(f *intake.File) (func(), error) {
		text, err := io.ReadAll(f)
		f.Reopen = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
		return func() {}, err
	}
	_, err := r.sendAs(t, "host=a-*", wideText, map[string]string{"strict": "true"})
	if refusal := answer.RefusalOf(err); refusal.Code != answer.CodeBadRow || !strings.Contains(refusal.Text, "not_permitted") {
		t.Errorf("got %v", err)
	}
	if hosts := r.storedHosts(t); hosts != "" {
		t.Errorf("stored hosts %s", hosts)
	}
}

// TestWholeScopeIsNotLookedAt: records of nobody in particular and of a whole scope are not checked at all.
func TestWholeScopeIsNotLookedAt(t *testing.T) {
	if newPermission(nil) != nil || newPermission(&Sender{ID: "a", Scope: access.Everything()}) != nil {
		t.Error("a sender of everything is checked")
	}
	if newPermission(&Sender{ID: "a"}) == nil {
		t.Error("a sender of nothing is not checked")
	}
}
