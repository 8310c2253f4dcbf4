package program

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	gocmp "github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/retain"
)

var recordUpgrade = flag.String("record-upgrade", "", "make testdata/upgrade/NAME, a data directory of this build with recorded answers; an existing one is refused")

var recordRefolded = flag.String("record-refolded", "", "write testdata/upgrade/NAME/refolded.json: the answers of this build that differ from the recorded ones")

const upgradeDir = "testdata/upgrade"

const (
	upgradeData    = "data.tar.zst"
	upgradeAnswers = "answers.json"
	upgradeChanged = "refolded.json" // answers of a later model version in place of recorded ones
)

// exchange is a request and the answer recorded for it.
type exchange struct {
	Method string          `json:"method"` // GET, POST, or WS: Body is then sent as a frame, and Answer lists the frames received
	Path   string          `json:"path"`
	Body   json.RawMessage `json:"body,omitempty"`
	Status int             `json:"status,omitempty"`
	Answer any             `json:"answer"`
}

// TestUpgrade opens data directories that earlier builds wrote, and compares every answer with the one recorded when the
// directory was made, or with the one in refolded.json: a directory of an earlier model version is folded again from its
// log and archive. testdata/upgrade/README.md says how a directory is made, and why an answer is in refolded.json.
//
// The comparison leaves out only the members that depend on the present moment or on the process (see atPresent).
func TestUpgrade(t *testing.T) {
	if *recordUpgrade != "" {
		recordDirectory(t, filepath.Join(upgradeDir, *recordUpgrade))
	}
	if *recordRefolded != "" {
		recordChangedAnswers(t, filepath.Join(upgradeDir, *recordRefolded))
	}
	dirs, err := filepath.Glob(filepath.Join(upgradeDir, "*", upgradeAnswers))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("found %d recorded data directories (%v), want at least one", len(dirs), err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			s := openRecorded(t, dir)
			for _, x := range withChangedAnswers(t, dir, readExchanges(t, path)) {
				s.compare(x)
			}
		})
	}
}

// openRecorded starts this build on a copy of a recorded data directory, and waits until it serves: of a directory of an
// earlier model version it folds the log and the archive first.
func openRecorded(t *testing.T, dir string) *stack {
	t.Helper()
	data := t.TempDir()
	unpackDirectory(t, filepath.Join(dir, upgradeData), data)
	s := startStack(t, data, keepAsItIs)
	s.await("readiness", func(*clientv3.Client) bool { return s.exchange("GET", "/ready", nil).Status == http.StatusOK })
	return s
}

// keepAsItIs puts off every action of collectd that depends on the age of data: nothing is archived, merged, removed or compacted. The
// archive keeps everything by default.
func keepAsItIs(s *settings) {
	const never = 100 * 365 * 24 * time.Hour
	s.folding.Retain = retain.Config{
		RetentionDays: 36500, ArchiveInterval: never, HotWindow: never, HotShare: 100, KeepReplaced: never, MergeEntries: 1 << 20, CompactInterval: -1,
	}
}

func readExchanges(t *testing.T, path string) []exchange {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []exchange
	decode(t, text, &list)
	return list
}

// withChangedAnswers returns recorded exchanges with the answers of refolded.json, if a directory has one, in place of
// theirs.
func withChangedAnswers(t *testing.T, dir string, list []exchange) []exchange {
	t.Helper()
	path := filepath.Join(dir, upgradeChanged)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return list
	}
	for _, changed := range readExchanges(t, path) {
		at := slices.IndexFunc(list, func(x exchange) bool {
			return x.Method == changed.Method && x.Path == changed.Path && sameJSON(x.Body, changed.Body)
		})
		if at < 0 || gocmp.Equal(atPresent(list[at].Answer), atPresent(changed.Answer)) {
			t.Fatalf("%s has an answer to %s %s that does not differ from a recorded one", path, changed.Method, changed.Path)
		}
		list[at] = changed
	}
	return list
}

// sameJSON reports whether two texts are the same JSON, apart from white space.
func sameJSON(a, b json.RawMessage) bool {
	var one, two bytes.Buffer
	return len(a) == len(b) && len(a) == 0 || json.Compact(&one, a) == nil && json.Compact(&two, b) == nil && one.String() == two.String()
}

// compare makes a recorded request again.
func (s *stack) compare(want exchange) {
	s.t.Helper()
	got := s.exchange(want.Method, want.Path, want.Body)
	if diff := gocmp.Diff(atPresent(want.Answer), atPresent(got.Answer)); got.Status != want.Status || diff != "" {
		s.t.Errorf("%s %s %s: status %d, want %d; the answer differs from the recorded one (-recorded +now):\n%.3000s",
			want.Method, want.Path, want.Body, got.Status, want.Status, diff)
	}
}

// exchange makes a request and returns it with its answer.
func (s *stack) exchange(method, path string, body json.RawMessage) exchange {
	s.t.Helper()
	x := exchange{Method: method, Path: path, Body: body}
	if method == "WS" {
		x.Answer = s.frames(path, body)
		return x
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.queries+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	x.Status = resp.StatusCode
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		decode(s.t, text, &x.Answer)
	} else {
		x.Answer = string(text)
	}
	return x
}

// frames subscribes with one frame and returns the frames between hello and synced: the acknowledgement and the snapshot.
func (s *stack) frames(path string, sub json.RawMessage) any {
	s.t.Helper()
	w := s.dial(path, "gpu.live.v1")
	defer w.close()
	if err := w.conn.WriteMessage(websocket.TextMessage, sub); err != nil {
		s.t.Fatal(err)
	}
	var frames []any
	for {
		if err := w.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			s.t.Fatal(err)
		}
		_, text, err := w.conn.ReadMessage()
		if err != nil {
			s.t.Fatalf("reading the live stream: %v", err)
		}
		var frame map[string]any
		decode(s.t, text, &frame)
		switch frame["t"] {
		case "hello", "hb":
		case "synced":
			return frames
		default:
			frames = append(frames, frame)
		}
	}
}

// atPresent returns an answer without the members that depend on the present moment or on the process: the position that
// is served (rev of a frame; position, folded and generation of the cluster), the clock (as_of, asOf, lag_seconds), and the
// times at which events were quarantined (at, tried_at).
func atPresent(answer any) any {
	switch v := answer.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			switch name {
			case "rev", "position", "folded", "as_of", "asOf", "lag_seconds", "generation":
				member = "(now)"
			case "at", "tried_at":
				if _, entry := v["retry_asked"]; entry { // of the quarantine
					member = "(now)"
				}
			}
			out[name] = atPresent(member)
		}
		sortEntries(out)
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = atPresent(item)
		}
		return out
	}
	return answer
}

// sortEntries sorts the entries of the quarantine in an answer by their key: they are listed by the time at which they were
// met. A page with some of the entries may have any of them.
func sortEntries(answer map[string]any) {
	entries, _ := answer["data"].([]any)
	text := func(entry any, member string) string {
		fields, _ := entry.(map[string]any)
		return fmt.Sprint(fields[member])
	}
	if len(entries) == 0 || text(entries[0], "retry_asked") == fmt.Sprint(nil) {
		return
	}
	slices.SortFunc(entries, func(a, b any) int { return cmp.Compare(text(a, "key"), text(b, "key")) })
	if total, some := answer["total"]; some && fmt.Sprint(total) != fmt.Sprint(answer["count"]) {
		answer["data"] = "(some)"
	}
}

// upgradeRequests are made when a directory is recorded. FROM stands for a position before the last upload.
func upgradeRequests() []exchange {
	get := func(path string) exchange { return exchange{Method: "GET", Path: path} }
	graphql := func(document string) exchange {
		body, _ := json.Marshal(map[string]string{"query": document}) // of a string
		return exchange{Method: "POST", Path: "/graphql", Body: body}
	}
	const entry = `timestamp id host uuid gpuId part device modelName driverVersion labels metrics absent absentText`
	const gpu = "GPU-0a1b2c3d-1111-2222-3333-444455556666"
	return []exchange{
		get("/api/v1/hosts"), get("/api/v1/hosts/rack7_node02"), get("/api/v1/hosts/n1/gpus"),
		get("/api/v1/gpus"), get("/api/v1/gpus/" + gpu), get("/api/v1/gpus/n1:0"),
		get("/api/v1/gpus/" + gpu + "/telemetry"),
		get("/api/v1/telemetry?limit=40"),
		get("/api/v1/telemetry?limit=40&order=asc&host_id=fleet-1"),
		get("/api/v1/telemetry?format=csv&host_id=n1,rack7_node02,wide-1,node-7"),
		get("/api/v1/telemetry?step=10m&host_id=fleet-0,n1&agg=avg,min,max,last,p95,count&start_time=2025-07-18T20:00:00Z&end_time=2025-07-18T23:59:59Z"),
		get("/api/v1/telemetry?step=1h&agg=avg,min,max,last,count&start_time=2024-01-01T00:00:00Z&end_time=2025-07-20T00:00:00Z"),
		get("/api/v1/telemetry/latest?host_id=n1"), get("/api/v1/telemetry/latest?as_of=2025-07-18T21:00:00Z"),
		get("/api/v1/gpus?as_of=2025-07-18T21:00:00Z"),
		get("/api/v1/cluster"),
		get("/api/v1/events?limit=3"), get("/api/v1/events?limit=2&records=true&host_id=n1"), get("/api/v1/events?damaged=true"),
		get("/api/v1/quarantine"), get("/api/v1/quarantine?limit=1"),
		graphql(`{ cluster { hostCount gpuCount } hosts { name gpus { id gpuId uuid } } }`),
		graphql(`{ gpus { id uuid host hosts gpuId device modelName driverVersion labels firstSeen lastSeen metrics metricTimes absent absentText
			parts { name lastSeen metrics absent absentText } } }`),
		graphql(`{ telemetry(limit: 20, metric: ["DCGM_FI_DEV_GPU_TEMP"]) { nextCursor entries { ` + entry + ` } } }`),
		{Method: "WS", Path: "/ws", Body: json.RawMessage(`{"op":"sub","id":"a","mode":"latest","snapshot":true}`)},
		{Method: "WS", Path: "/ws", Body: json.RawMessage(`{"op":"sub","id":"a","mode":"latest","from":"FROM"}`)},
	}
}

// nextPage returns the request for the page behind an answer; false when there is none.
func nextPage(x exchange) (exchange, bool) {
	answer, _ := x.Answer.(map[string]any)
	if cursor, ok := answer["next_cursor"].(string); ok && cursor != "" {
		joint := "?"
		if strings.Contains(x.Path, "?") {
			joint = "&"
		}
		return exchange{Method: x.Method, Path: x.Path + joint + "cursor=" + cursor}, true
	}
	return exchange{}, false
}
