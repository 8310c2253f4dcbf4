package watch

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/unicode"

	"telemetry-pipeline/ingestd/upload"
)

// recorder records the shipped content by file.
type recorder struct {
	mu     sync.Mutex
	got    map[string][]string
	answer func(name, text string) (*upload.Answer, error) // nil: everything is stored
}

func (r *recorder) Send(_ context.Context, f upload.Source, _ func(int64), _ func(upload.Attempt)) (*upload.Answer, error) {
	file, err := f.Open()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(file)
	if err != nil || int64(len(text)) != f.Size {
		return nil, errors.New("the size is wrong")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil {
		if a, err := r.answer(f.Name, string(text)); a != nil || err != nil {
			return a, err
		}
	}
	r.got[f.Name] = append(r.got[f.Name], string(text))
	return &upload.Answer{Success: true}, nil
}

// takeShipped returns the content shipped since the last call.
func (r *recorder) takeShipped() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = map[string][]string{}
	return got
}

// rig is a directory with a watcher that scans on request.
type rig struct {
	t   *testing.T
	dir string
	rec *recorder
	w   *Watcher
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), rec: &recorder{got: map[string][]string{}}}
	r.restartWatcher()
	return r
}

func (r *rig) restartWatcher() {
	r.t.Helper()
	var err error
	if r.w, err = New(Config{}, r.dir, false, r.rec, nil); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) filePath(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) appendText(name, text string) {
	r.t.Helper()
	file, err := os.OpenFile(r.filePath(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// checkShipped scans once and compares the shipped content.
func (r *rig) checkShipped(want map[string][]string) {
	r.t.Helper()
	if err := r.w.shipDirectory(r.t.Context()); err != nil && !errors.Is(err, errIncomplete) {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, r.rec.takeShipped()); diff != "" {
		r.t.Errorf("shipped (-want +got):\n%s", diff)
	}
}

type files = map[string][]string

func TestWatchShipsNewLinesBehindTheHeader(t *testing.T) {
	r := newRig(t)
	r.appendText("a.csv", "time,temp\n1,40\n2,41\n3,")
	r.appendText("other.bin", "x\n")
	r.checkShipped(files{"a.csv": {"time,temp\n1,40\n2,41\n"}})
	r.checkShipped(files{})
	r.appendText("a.csv", "42\n4,43\n")
	r.checkShipped(files{"a.csv": {"time,temp\n3,42\n4,43\n"}})
}

func TestWatchRemembersAcrossRestarts(t *testing.T) {
	r := newRig(t)
	r.appendText("a.csv", "time,temp\n1,40\n")
	r.checkShipped(files{"a.csv": {"time,temp\n1,40\n"}})
	r.appendText("a.csv", "2,41\n")
	r.restartWatcher()
	r.checkShipped(files{"a.csv": {"time,temp\n2,41\n"}})
}

func TestWatchFollowsRotations(t *testing.T) {
	tests := []struct {
		name    string
		rotated string
	}{
		{"to a name that is watched", "a.1.csv"},
		{"to a name before it", "a-old.csv"},
		{"to a name that is not", "a.csv.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.appendText("a.csv", "time,temp\n1,40\n")
			r.checkShipped(files{"a.csv": {"time,temp\n1,40\n"}})
			r.appendText("a.csv", "2,41\n") // between the last scan and the rotation
			if err := os.Rename(r.filePath("a.csv"), r.filePath(test.rotated)); err != nil {
				t.Fatal(err)
			}
			r.appendText("a.csv", "time,temp\n3,42\n")
			r.checkShipped(files{test.rotated: {"time,temp\n2,41\n"}, "a.csv": {"time,temp\n3,42\n"}})
			r.appendText("a.csv", "4,43\n")
			r.checkShipped(files{"a.csv": {"time,temp\n4,43\n"}})
		})
	}
}

func TestWatchReadsAFileThatWasCutOffFromItsBeginning(t *testing.T) {
	r := newRig(t)
	r.appendText("a.csv", "time,temp\n1,40\n2,41\n")
	r.checkShipped(files{"a.csv": {"time,temp\n1,40\n2,41\n"}})
	if err := os.Truncate(r.filePath("a.csv"), 0); err != nil {
		t.Fatal(err)
	}
	r.appendText("a.csv", "time,temp\n9,50\n")
	r.checkShipped(files{"a.csv": {"time,temp\n9,50\n"}})
}

func TestWatchTakesANewHeaderInTheMiddle(t *testing.T) {
	r := newRig(t)
	r.appendText("a.csv", "time,temp\n1,40\ntime,temp,power\n2,41,250\n")
	r.checkShipped(files{"a.csv": {"time,temp\n1,40\n", "time,temp,power\n2,41,250\n"}})
	r.appendText("a.csv", "3,42,260\n")
	r.checkShipped(files{"a.csv": {"time,temp,power\n3,42,260\n"}})
}

// TestWatchShipsNoLineUnderColumnsThatItHasNot appends to logs whose columns change their order in later lines.
func TestWatchShipsNoLineUnderColumnsThatItHasNot(t *testing.T) {
	const dmon = "#Date Time gpu pwr temp\n#YYYYMMDD HH:MM:SS Idx W C\n"
	const dmonTurned = "#Date Time gpu temp pwr\n#YYYYMMDD HH:MM:SS Idx C W\n"
	tests := []struct{ name, before, turned, after string }{
		{"semicolons", "time;temp;util\n1;40;5\n", "time;util;temp\n2;6;41\n", "3;7;42\n"},
		{"tabs", "time\ttemp\tutil\n1\t40\t5\n", "time\tutil\ttemp\n2\t6\t41\n", "3\t7\t42\n"},
		{"another first column", "time,temp,util\n1,40,5\n", "util,temp,time\n6,41,2\n", "7,42,3\n"},
		{"behind a mark", "\ufeffsep=;\ntime;temp;util\n1;40;5\n", "time;util;temp\n2;6;41\n", "3;7;42\n"},
		{"in comments", dmon + " 20240501 10:00:00 0 40 35\n", dmonTurned + " 20240501 10:00:01 0 36 41\n", " 20240501 10:00:02 0 37 42\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.appendText("a.log", test.before)
			r.checkShipped(files{"a.log": {test.before}})
			r.appendText("a.log", test.turned)
			r.checkShipped(files{"a.log": {test.turned}})
			r.appendText("a.log", test.after)
			header := test.turned[:strings.LastIndexByte(strings.TrimSuffix(test.turned, "\n"), '\n')+1]
			r.checkShipped(files{"a.log": {header + test.after}})
		})
	}
}

func TestWatchRepeatsHeadersOfCommentsOnlyWhereTheyChange(t *testing.T) {
	const header = "#Date Time gpu pwr\n#YYYYMMDD HH:MM:SS Idx W\n"
	const line = " 20240501 10:00:00 0 40\n"
	r := newRig(t)
	r.appendText("a.log", header+line+header+line)
	r.checkShipped(files{"a.log": {header + line + header + line}})
	r.appendText("a.log", header[:20]) // not yet complete
	r.checkShipped(files{})
	r.appendText("a.log", header[20:]+line)
	r.checkShipped(files{"a.log": {header + line}})
}

func TestWatchRepeatsNoSampleOfAScrape(t *testing.T) {
	const first, second = "x_temp{gpu=\"0\",host=\"a\"} 40 1714557600000\n", "x_temp{gpu=\"1\",host=\"a\"} 41 1714557601000\n"
	r := newRig(t)
	r.appendText("a.prom", first)
	r.checkShipped(files{"a.prom": {first}})
	r.appendText("a.prom", second)
	r.checkShipped(files{"a.prom": {second}})
}

// TestWatchReadsUTF16 uses a log written by PowerShell, with characters whose bytes look like line ends.
func TestWatchReadsUTF16(t *testing.T) {
	for name, order := range map[string]unicode.Endianness{"little endian": unicode.LittleEndian, "big endian": unicode.BigEndian} {
		t.Run(name, func(t *testing.T) {
			encode := func(text string) string {
				coded, err := unicode.UTF16(order, unicode.IgnoreBOM).NewEncoder().String(text)
				if err != nil {
					t.Fatal(err)
				}
				return coded
			}
			r := newRig(t)
			r.appendText("a.csv", encode("\ufefftime,temp\r\n1,Ċ𐀊\r\n2,4"))
			r.checkShipped(files{"a.csv": {"time,temp\r\n1,Ċ𐀊\r\n"}})
			half := encode("1\r\n")
			r.appendText("a.csv", half[:len(half)-1])
			r.checkShipped(files{})
			r.appendText("a.csv", half[len(half)-1:])
			r.restartWatcher()
			r.checkShipped(files{"a.csv": {"time,temp\r\n2,41\r\n"}})
		})
	}
}

func TestWatchKeepsWhatIsRefused(t *testing.T) {
	r := newRig(t)
	refused := true
	r.rec.answer = func(name, _ string) (*upload.Answer, error) {
		if refused && name == "bad.csv" {
			return &upload.Answer{Error: "no telemetry", Code: "not_telemetry"}, nil
		}
		return nil, nil
	}
	r.appendText("bad.csv", "x,y\n1,2\n")
	r.appendText("good.csv", "time,temp\n1,40\n")
	r.checkShipped(files{"good.csv": {"time,temp\n1,40\n"}})
	refused = false
	r.checkShipped(files{}) // it is skipped until it changes
	r.appendText("bad.csv", "3,4\n")
	r.checkShipped(files{"bad.csv": {"x,y\n1,2\n3,4\n"}})
}

// TestWatchAfterALostAnswer checks that lines which are stored but not in the state file are sent again.
func TestWatchAfterALostAnswer(t *testing.T) {
	r := newRig(t)
	r.rec.answer = func(string, string) (*upload.Answer, error) { return nil, errors.New("no answer") }
	r.appendText("a.csv", "time,temp\n1,40\n")
	r.checkShipped(files{})
	r.rec.answer = nil
	r.restartWatcher()
	r.checkShipped(files{"a.csv": {"time,temp\n1,40\n"}})
}

func TestWatchWaitsForTheHeader(t *testing.T) {
	r := newRig(t)
	r.appendText("a.csv", "time,te")
	r.checkShipped(files{})
	r.appendText("a.csv", "mp\n")
	r.rec.answer = func(string, string) (*upload.Answer, error) {
		return &upload.Answer{Error: "no rows", Code: "no_rows"}, nil
	}
	r.checkShipped(files{})
	r.rec.answer = nil
	r.appendText("a.csv", "1,40\n")
	r.checkShipped(files{"a.csv": {"time,temp\n1,40\n"}})
}

func TestHeaders(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"first line", "a,b\n1,2\n", "a,b\n"},
		{"not all there", "a,b", ""},
		{"blank lines and a separator", "\nsep=;\na;b\n1;2\n", "\nsep=;\na;b\n"},
		{"two lines of dmon", "# gpu pwr\n# Idx W\n    0   60\n", "# gpu pwr\n# Idx W\n"},
		{"dcgmi", "#Entity POWER\nID\nGPU 0  60\n", "#Entity POWER\nID\n"},
		{"dmon, no sample yet", "# gpu pwr\n# Idx W\n", ""},
		{"messages before it", "nohup: ignoring input\n\nNo devices were found\na,b\n1,2\n", "a,b\n"},
		{"messages alone", "nohup: ignoring input\nNo devices were found\n", ""},
		{"a scrape", "# TYPE x gauge\nx 1\n", "# TYPE x gauge\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := parseHeader([]byte(test.text)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWatchReportsTheLinesOfTheFile(t *testing.T) {
	text := "time,temp\n1,40\n2,41\n3,42\n"
	p := &progress{Name: "a.csv", Offset: int64(len("time,temp\n1,40\n2,41\n")), Line: 3, Header: "time,temp\n"}
	s, err := nextShipment(strings.NewReader(text), fileState{size: int64(len(text))}, p, false, maxShipment)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.lineOf(2); got != 4 || s.lines != 4 || s.first != 4 {
		t.Errorf("line 2 of the upload is line %d of the file, lines %d to %d; want 4 of 4 to 4", got, s.first, s.lines)
	}
}

func TestWatchSplitsALongBacklogAtLines(t *testing.T) {
	line := strings.Repeat("x", 1000) + "\n"
	text := "time\n" + strings.Repeat(line, 5000)
	p := &progress{}
	var all string
	for file := strings.NewReader(text); ; {
		s, err := nextShipment(file, fileState{size: int64(len(text))}, p, false, maxShipment)
		if err != nil {
			t.Fatal(err)
		}
		if s == nil {
			break
		}
		if len(s.text) > maxShipment || !strings.HasSuffix(string(s.text), "\n") {
			t.Fatalf("a shipment of %d bytes that ends in %q", len(s.text), s.text[len(s.text)-1:])
		}
		all += string(s.text)
		p.Offset, p.Line, p.Header = s.end, s.lines, s.header
	}
	if all != text {
		t.Errorf("the shipments hold %d bytes, want the %d of the file", len(all), len(text))
	}
}

// TestWatchShipsNoHalfRow covers messages that contain line ends, while the writing tool is in the middle of one.
func TestWatchShipsNoHalfRow(t *testing.T) {
	const header = "time,temp,message\n"
	r := newRig(t)
	r.appendText("a.csv", header+"1,40,\"fine\"\n2,41,\"XID 79:\n")
	r.checkShipped(files{"a.csv": {header + "1,40,\"fine\"\n"}})
	r.appendText("a.csv", "GPU, lost\n")
	r.checkShipped(files{})
	r.appendText("a.csv", "\"\n3,42,5\" disk\n")
	r.checkShipped(files{"a.csv": {header + "2,41,\"XID 79:\nGPU, lost\n\"\n3,42,5\" disk\n"}})
	r.restartWatcher()
	r.appendText("a.csv", "4,43,\"broken\n"+header+"5,44,ok\n") // the tool was ended, and started again
	r.checkShipped(files{"a.csv": {header + "4,43,\"broken\n" + header + "5,44,ok\n"}})
}

// TestWatchWaitsNotForEverForAQuote checks that no row is lost behind a quote that is never closed.
func TestWatchWaitsNotForEverForAQuote(t *testing.T) {
	const header, begin, row = "time;temp\n", "0;39\n", "1;\"40\n2;41\n"
	for name, ends := range map[string]func(r *rig){
		"rotated":   func(r *rig) { r.renameFile("a.csv", "a.csv.1"); r.appendText("a.csv", header) },
		"settled":   func(r *rig) { r.ageFile("a.csv", 2*idleAfter) },
		"much came": func(r *rig) { r.appendText("a.csv", strings.Repeat("3;4\n", 20000)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.appendText("a.csv", header+begin+row)
			r.checkShipped(files{"a.csv": {header + begin}})
			ends(r)
			if err := r.w.shipDirectory(t.Context()); err != nil {
				t.Fatal(err)
			}
			shipped := r.rec.takeShipped()
			all := strings.Join(append(shipped["a.csv"], shipped["a.csv.1"]...), "")
			if !strings.Contains(all, header+row) {
				t.Errorf("shipped %.80q, want %q among it", all, header+row)
			}
		})
	}
}

func (r *rig) renameFile(from, to string) {
	if err := os.Rename(r.filePath(from), r.filePath(to)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) ageFile(name string, by time.Duration) {
	then := time.Now().Add(-by)
	if err := os.Chtimes(r.filePath(name), then, then); err != nil {
		r.t.Fatal(err)
	}
}

// TestWatchComesOverADayWithoutDriver has more consecutive lines without a reading than a shipment holds.
func TestWatchComesOverADayWithoutDriver(t *testing.T) {
	const header, good = "time,temp\n", "9,50\n"
	r := newRig(t)
	r.rec.answer = func(_, text string) (*upload.Answer, error) {
		if strings.Contains(text, good) {
			return nil, nil
		}
		return &upload.Answer{Error: "none could be used", Code: "no_usable_rows"}, nil
	}
	bad := strings.Repeat("NVIDIA-SMI has failed because it couldn't communicate with the driver.\n", maxShipment/50)
	r.appendText("a.csv", header+bad)
	r.checkShipped(files{})
	r.appendText("a.csv", good)
	r.checkShipped(files{"a.csv": {header + bad + good}})
	r.appendText("a.csv", good)
	r.checkShipped(files{"a.csv": {header + good}})
}

func TestWatchRefusesADamagedState(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateName), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{}, dir, false, nil, nil); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v, want an error with advice", err)
	}
}

func TestWatchRunsUntilCancelled(t *testing.T) {
	r := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.w.Run(ctx) }()
		for i := range 3 {
			r.appendText("a.csv", []string{"time,temp\n1,40\n", "2,41\n", "3,42\n"}[i])
			time.Sleep(2 * defaultInterval)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got %v, want none", err)
		}
	})
	want := files{"a.csv": {"time,temp\n1,40\n", "time,temp\n2,41\n", "time,temp\n3,42\n"}}
	if diff := cmp.Diff(want, r.rec.takeShipped()); diff != "" {
		t.Errorf("shipped (-want +got):\n%s", diff)
	}
}
