package rest

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// oddCells has every character that requires quotes.
const oddCells = `
2025-07-18T18:00:00Z a uuid=GPU-a0 index=0 device=nvidia0 model=NVIDIA+H100,+"80GB" pod=p namespace=n container=c driver=535.1 job=x,y="z" | gpu_utilization=1 DCGM_FI_DEV_FB_USED=7.25
2025-07-18T18:20:00.5Z a uuid=GPU-a0 index=0 mig=3 mig_profile=1g.10gb part=mig:3 pci=00000000:3b:00.0 instance=a:9400 | DCGM_FI_PROF_GR_ENGINE_ACTIVE=0.5
2025-07-18T18:30:00Z a uuid=GPU-a0 index=0 | gpu_utilization=N/A temperature=
2025-07-18T20:42:00Z b uuid=GPU-b0 index=0 | gpu_utilization=3 own_metric=12345678901234567
`

// getAccepting sends a request with an Accept header.
func getAccepting(t testing.TB, app *fiber.App, target, accept string) answered {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, target, nil)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := app.Test(req, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{request: httptest.NewRequest(http.MethodGet, target, nil), status: resp.StatusCode, header: resp.Header, body: body}
}

func TestReadingsAsCSVCanBeUploadedAgain(t *testing.T) {
	f := newFleet()
	f.addRows(t, oddCells)
	got := getAccepting(t, serveFleet(t, f, time.Now), "/api/v1/telemetry", "text/csv")
	if got.status != 200 || got.header.Get("Content-Type") != "text/csv; charset=utf-8; header=present" {
		t.Fatalf("%d %s", got.status, got.header.Get("Content-Type"))
	}
	if cells, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll(); err != nil || len(cells) != 8 {
		t.Fatalf("%d rows, %v; want a header and 7", len(cells), err)
	}
	read, err := dialecttest.Dialect{Grammar: dcgmlong.Grammar()}.Read(bytes.NewReader(got.body), dialect.Options{}, rows.Options{BatchRows: 100}, 1)
	if err != nil || len(read.Rejections) > 0 {
		t.Fatalf("uploaded again: %v, rejected %+v\n%s", err, read.Rejections, got.body)
	}
	var have, want []string
	for _, r := range read.Records {
		have = append(have, recordText(r.Host, &r.Record))
	}
	for id, h := range f.hosts {
		for _, s := range f.series[id] {
			shown := h.Resolve(nil, &s) // with what other records say of their GPUs
			for i := range shown.Columns {
				c := &shown.Columns[i]
				for at, v := range c.All() {
					want = append(want, recordText(id, &events.Record{Identity: shown.Find(c.Identity), Metric: c.Metric, At: at, Value: v}))
				}
			}
		}
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("uploaded again there is\n%s\nwant\n%s\nfrom\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"), got.body)
	}
}

// recordText writes a record without its source name and the text of its value.
func recordText(host events.HostID, r *events.Record) string {
	return fmt.Sprintf("%s %s %s %+v %+v", r.At, host, r.Metric, *r.Identity, r.Value)
}

func TestLinesAreTheItemsOfTheList(t *testing.T) {
	f := newFleet()
	f.addRows(t, oddCells)
	app := serveFleet(t, f, time.Now)
	for _, target := range []string{"/api/v1/telemetry", "/api/v1/gpus/GPU-a0/telemetry?step=1h&agg=avg,p95", "/api/v1/telemetry?step=1d&order=asc", "/api/v1/telemetry?limit=2"} {
		list, lines := getAccepting(t, app, target, ""), getAccepting(t, app, target, "application/x-ndjson")
		var page struct {
			Data []json.RawMessage
			Next string `json:"next_cursor"`
		}
		if err := json.Unmarshal(list.body, &page); err != nil || len(page.Data) == 0 {
			t.Fatalf("%s: %v, %s", target, err, list.body)
		}
		var want []byte
		for _, item := range page.Data {
			want = append(append(want, item...), '\n')
		}
		if !bytes.Equal(lines.body, want) || lines.header.Get("X-Next-Cursor") != page.Next {
			t.Errorf("%s\ngot  %s next %q\nwant %s next %q", target, lines.body, lines.header.Get("X-Next-Cursor"), want, page.Next)
		}
	}
}

func TestBucketsAsCSV(t *testing.T) {
	f := newFleet()
	f.addRows(t, oddCells)
	f.addRows(t, "2025-07-18T20:43:00Z b uuid=GPU-b0 index=0 | gpu_utilization=4 DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION=9")
	app := serveFleet(t, f, time.Now)
	for target, want := range map[string]string{
		"/api/v1/gpus/GPU-b0/telemetry?format=csv&step=1h&metric=gpu_utilization&agg=max,count": "timestamp,host_id,id,part,metric_name,max,count\r\n" +
			"2025-07-18T20:00:00Z,b,GPU-b0,,DCGM_FI_DEV_GPU_UTIL,4,2\r\n",
		"/api/v1/gpus/GPU-b0/telemetry?format=csv&step=1d&metric=gpu_utilization,DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "timestamp,host_id,id,part,metric_name,avg,last\r\n" +
			"2025-07-18T00:00:00Z,b,GPU-b0,,DCGM_FI_DEV_GPU_UTIL,3.5,\r\n2025-07-18T00:00:00Z,b,GPU-b0,,DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION,,9\r\n",
		"/api/v1/gpus/GPU-b0/telemetry?format=csv&step=1h&end_time=2020-01-01T00:00:00Z": "timestamp,host_id,id,part,metric_name,avg,last\r\n",
	} {
		if got := getAccepting(t, app, target, ""); got.status != 200 || string(got.body) != want {
			t.Errorf("%s: %d\ngot  %q\nwant %q", target, got.status, got.body, want)
		}
	}
}

func TestFormIsChosenByWeight(t *testing.T) {
	for header, want := range map[string]form{
		"":                                      asJSON,
		"*/*":                                   asJSON,
		"application/*":                         asJSON,
		"text/*":                                asCSV,
		"text/csv":                              asCSV,
		"text/csv, application/json":            asCSV,
		"application/json, text/csv":            asJSON,
		"text/csv;q=0.5, application/json;q=.4": asCSV,
		"application/x-ndjson;q=0.9, */*;q=0.1": asNDJSON,
		"application/json;q=0, */*":             asNDJSON,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": asJSON,
		"text/html":                "",
		"text/csv;q=0":             "",
		"nonsense":                 "",
		"TEXT/CSV; header=present": asCSV,
	} {
		if got := acceptedForm(header); got != want {
			t.Errorf("Accept: %q: got %q, want %q", header, got, want)
		}
	}
	f := newFleet()
	f.addRows(t, oddCells)
	app := serveFleet(t, f, time.Now)
	for target, header := range map[string]string{"/api/v1/telemetry": "text/html", "/api/v1/gpus/GPU-a0/telemetry": "image/png, text/csv;q=0"} {
		got := getAccepting(t, app, target, header)
		if got.status != 406 || got.code() != NotAcceptable || !strings.Contains(string(got.body), "application/json, application/x-ndjson, text/csv") {
			t.Errorf("%s: %s", target, got.scriptText())
		}
	}
	if got := getAccepting(t, app, "/api/v1/telemetry?format=xml", ""); got.status != 400 || !strings.Contains(string(got.body), formsTaken) {
		t.Errorf("format=xml: %s", got.scriptText())
	}
	if got := getAccepting(t, app, "/api/v1/telemetry?cursor=nonsense", "text/csv"); got.status != 400 || got.code() != BadParameter {
		t.Errorf("a bad cursor, streamed: %s", got.scriptText())
	}
}

// manyEntries returns a fleet whose history has more than two pages of a stream.
func manyEntries(t testing.TB) *fleet {
	t.Helper()
	f := newFleet()
	for i := range 2*streamPage + 7 {
		at := events.TimestampOf(noon.Add(time.Duration(i) * time.Second))
		if err := f.addRow("a", events.Identity{UUID: "GPU-a0", Index: "0"}, at, [][2]string{{"gpu_utilization", fmt.Sprint(i % 100)}}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestAStreamHasAllPages(t *testing.T) {
	app := serveFleet(t, manyEntries(t), time.Now)
	for target, want := range map[string]int{
		"/api/v1/telemetry?format=csv":                      2*streamPage + 7 + 1,
		"/api/v1/telemetry?format=ndjson":                   2*streamPage + 7,
		"/api/v1/telemetry?format=ndjson&step=1s&order=asc": 2*streamPage + 7,
		"/api/v1/telemetry?format=ndjson&step=1m":           (2*streamPage+7)/60 + 1,
		"/api/v1/telemetry?format=csv&limit=3000":           3001,
		"/api/v1/telemetry?format=csv&limit=10000":          2*streamPage + 7 + 1,
	} {
		got := getAccepting(t, app, target, "")
		if n := bytes.Count(got.body, []byte("\n")); got.status != 200 || n != want {
			t.Errorf("%s: %d, %d lines, want %d", target, got.status, n, want)
		}
	}
}

// failing is a history that fails after the first page.
type failing struct{ *history.History }

func (h failing) Telemetry(ctx context.Context, s *live.State, q history.Query) (history.Page, error) {
	if q.Cursor != "" {
		return history.Page{}, errors.New("etcd went away")
	}
	return h.History.Telemetry(ctx, s, q)
}

func TestAStreamThatFailsIsCutOff(t *testing.T) {
	f := manyEntries(t)
	api := New(Config{}, f.facts, f.runHub(t), failing{history.New(f, nil)}, f, nil)
	app := appOf(api)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(ln) }()
	defer func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		<-served
	}()
	resp, err := http.Get("http://" + ln.Addr().String() + "/api/v1/telemetry?format=ndjson")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if lines := bytes.Count(body, []byte("\n")); err == nil || lines > streamPage {
		t.Errorf("%d lines and error %v, want at most %d and an error", lines, err, streamPage)
	}
}

// TestAStreamedBodyIsReadAndWrittenTheSame covers the two ways in which a server may consume a body.
func TestAStreamedBodyIsReadAndWrittenTheSame(t *testing.T) {
	text := strings.Repeat("one page\n", 5000)
	if err := iotest.TestReader(&streamBody{rest: encodedPages{pages: &pages{done: true}}, ready: []byte(text)}, []byte(text)); err != nil {
		t.Error(err)
	}
	var out strings.Builder
	n, err := (&streamBody{rest: encodedPages{pages: &pages{done: true}}, ready: []byte(text)}).WriteTo(&out)
	if out.String() != text || n != int64(len(text)) || err != nil {
		t.Errorf("wrote %d of %d bytes, reported %d, %v", out.Len(), len(text), n, err)
	}
}
