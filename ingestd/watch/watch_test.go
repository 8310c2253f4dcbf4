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

// recorder takes what is shipped, by file.
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

// take gives what was shipped since the last call.
func (r *recorder) take() map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = map[string][]string{}
	return got
}

// rig is a directory with a watcher that looks when it is told to.
type rig struct {
	t   *testing.T
	dir string
	rec *recorder
	w   *Watcher
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), rec: &recorder{got: map[string][]string{}}}
	r.restart()
	return r
}

func (r *rig) restart() {
	r.t.Helper()
	var err error
	if r.w, err = New(Config{}, r.dir, false, r.rec, nil); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) append(name, text string) {
	r.t.Helper()
	file, err := os.OpenFile(r.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Close()); err != nil {
		r.t.Fatal(err)
	}
}

// ships looks once and compares what is shipped.
func (r *rig) ships(want map[string][]string) {
	r.t.Helper()
	if err := r.w.sweep(r.t.Context()); err != nil && !errors.Is(err, errLeft) {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, r.rec.take()); diff != "" {
		r.t.Errorf("shipped (-want +got):\n%s", diff)
	}
}

type files = map[string][]string

func TestWatchShipsNewLinesBehindTheHeader(t *testing.T) {
	r := newRig(t)
	r.append("a.csv", "time,temp\n1,40\n2,41\n3,")
	r.append("other.bin", "x\n")
	r.ships(files{"a.csv": {"time,temp\n1,40\n2,41\n"}})
	r.ships(files{})
	r.append("a.csv", "42\n4,43\n")
	r.ships(files{"a.csv": {"time,temp\n3,42\n4,43\n"}})
}

func TestWatchRemembersAcrossRestarts(t *testing.T) {
	r := newRig(t)
	r.append("a.csv", "time,temp\n1,40\n")
	r.ships(files{"a.csv": {"time,temp\n1,40\n"}})
	r.append("a.csv", "2,41\n")
	r.restart()
	r.ships(files{"a.csv": {"time,temp\n2,41\n"}})
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
			r.append("a.csv", "time,temp\n1,40\n")
			r.ships(files{"a.csv": {"time,temp\n1,40\n"}})
			r.append("a.csv", "2,41\n") // between the last look and the rotation
			if err := os.Rename(r.path("a.csv"), r.path(test.rotated)); err != nil {
				t.Fatal(err)
			}
			r.append("a.csv", "time,temp\n3,42\n")
			r.ships(files{test.rotated: {"time,temp\n2,41\n"}, "a.csv": {"time,temp\n3,42\n"}})
			r.append("a.csv", "4,43\n")
			r.ships(files{"a.csv": {"time,temp\n4,43\n"}})
		})
	}
}

func TestWatchReadsAFileThatWasCutOffFromItsBeginning(t *testing.T) {
	r := newRig(t)
	r.append("a.csv", "time,temp\n1,40\n2,41\n")
	r.ships(files{"a.csv": {"time,temp\n1,40\n2,41\n"}})
	if err := os.Truncate(r.path("a.csv"), 0); err != nil {
		t.Fatal(err)
	}
	r.append("a.csv", "time,temp\n9,50\n")
	r.ships(files{"a.csv": {"time,temp\n9,50\n"}})
}

func TestWatchTakesANewHeaderInTheMiddle(t *testing.T) {
	r := newRig(t)
	r.append("a.csv", "time,temp\n1,40\ntime,temp,power\n2,41,250\n")
	r.ships(files{"a.csv": {"time,temp\n1,40\n", "time,temp,power\n2,41,250\n"}})
	r.append("a.csv", "3,42,260\n")
	r.ships(files{"a.csv": {"time,temp,power\n3,42,260\n"}})
}

// TestWatchShipsNoLineUnderColumnsThatItHasNot appends to logs whose columns change places, in lines that come later.
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
			r.append("a.log", test.before)
			r.ships(files{"a.log": {test.before}})
			r.append("a.log", test.turned)
			r.ships(files{"a.log": {test.turned}})
			r.append("a.log", test.after)
			header := test.turned[:strings.LastIndexByte(strings.TrimSuffix(test.turned, "\n"), '\n')+1]
			r.ships(files{"a.log": {header + test.after}})
		})
	}
}

func TestWatchRepeatsHeadersOfCommentsOnlyWhereTheyChange(t *testing.T) {
	const header = "#Date Time gpu pwr\n#YYYYMMDD HH:MM:SS Idx W\n"
	const line = " 20240501 10:00:00 0 40\n"
	r := newRig(t)
	r.append("a.log", header+line+header+line)
	r.ships(files{"a.log": {header + line + header + line}})
	r.append("a.log", header[:20]) // not all of it is there yet
	r.ships(files{})
	r.append("a.log", header[20:]+line)
	r.ships(files{"a.log": {header + line}})
}

func TestWatchRepeatsNoSampleOfAScrape(t *testing.T) {
	const first, second = "x_temp{gpu=\"0\",host=\"a\"} 40 1714557600000\n", "x_temp{gpu=\"1\",host=\"a\"} 41 1714557601000\n"
	r := newRig(t)
	r.append("a.prom", first)
	r.ships(files{"a.prom": {first}})
	r.append("a.prom", second)
	r.ships(files{"a.prom": {second}})
}

// TestWatchReadsUTF16 has a log as PowerShell writes it, and of characters whose bytes look like line ends.
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
			r.append("a.csv", encode("\ufefftime,temp\r\n1,Ċ𐀊\r\n2,4"))
			r.ships(files{"a.csv": {"time,temp\r\n1,Ċ𐀊\r\n"}})
			half := encode("1\r\n")
			r.append("a.csv", half[:len(half)-1])
			r.ships(files{})
			r.append("a.csv", half[len(half)-1:])
			r.restart()
			r.ships(files{"a.csv": {"time,temp\r\n2,41\r\n"}})
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
	r.append("bad.csv", "x,y\n1,2\n")
	r.append("good.csv", "time,temp\n1,40\n")
	r.ships(files{"good.csv": {"time,temp\n1,40\n"}})
	refused = false
	r.ships(files{}) // it is left alone until it changes
	r.append("bad.csv", "3,4\n")
	r.ships(files{"bad.csv": {"x,y\n1,2\n3,4\n"}})
}

// TestWatchAfterALostAnswer: lines that are stored and not remembered go again.
func TestWatchAfterALostAnswer(t *testing.T) {
	r := newRig(t)
	r.rec.answer = func(string, string) (*upload.Answer, error) { return nil, errors.New("no answer") }
	r.append("a.csv", "time,temp\n1,40\n")
	r.ships(files{})
	r.rec.answer = nil
	r.restart()
	r.ships(files{"a.csv": {"time,temp\n1,40\n"}})
}

func TestWatchWaitsForTheHeader(t *testing.T) {
	r := newRig(t)
	r.append("a.csv", "time,te")
	r.ships(files{})
	r.append("a.csv", "mp\n")
	r.rec.answer = func(string, string) (*upload.Answer, error) {
		return &upload.Answer{Error: "no rows", Code: "no_rows"}, nil
	}
	r.ships(files{})
	r.rec.answer = nil
	r.append("a.csv", "1,40\n")
	r.ships(files{"a.csv": {"time,temp\n1,40\n"}})
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
			if got := header([]byte(test.text)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWatchTellsTheLinesOfTheFile(t *testing.T) {
	text := "time,temp\n1,40\n2,41\n3,42\n"
	p := &progress{Name: "a.csv", Offset: int64(len("time,temp\n1,40\n2,41\n")), Line: 3, Header: "time,temp\n"}
	s, err := next(strings.NewReader(text), look{size: int64(len(text))}, p, false, maxShipment)
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
		s, err := next(file, look{size: int64(len(text))}, p, false, maxShipment)
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

// TestWatchShipsNoHalfRow: messages have line ends in them, and the tool that writes them may be between two.
func TestWatchShipsNoHalfRow(t *testing.T) {
	const header = "time,temp,message\n"
	r := newRig(t)
	r.append("a.csv", header+"1,40,\"fine\"\n2,41,\"XID 79:\n")
	r.ships(files{"a.csv": {header + "1,40,\"fine\"\n"}})
	r.append("a.csv", "GPU, lost\n")
	r.ships(files{})
	r.append("a.csv", "\"\n3,42,5\" disk\n")
	r.ships(files{"a.csv": {header + "2,41,\"XID 79:\nGPU, lost\n\"\n3,42,5\" disk\n"}})
	r.restart()
	r.append("a.csv", "4,43,\"broken\n"+header+"5,44,ok\n") // the tool was ended, and started again
	r.ships(files{"a.csv": {header + "4,43,\"broken\n" + header + "5,44,ok\n"}})
}

// TestWatchWaitsNotForEverForAQuote: no row is lost behind one that nobody closes.
func TestWatchWaitsNotForEverForAQuote(t *testing.T) {
	const header, begin, row = "time;temp\n", "0;39\n", "1;\"40\n2;41\n"
	for name, ends := range map[string]func(r *rig){
		"rotated":   func(r *rig) { r.move("a.csv", "a.csv.1"); r.append("a.csv", header) },
		"settled":   func(r *rig) { r.age("a.csv", 2*settledAfter) },
		"much came": func(r *rig) { r.append("a.csv", strings.Repeat("3;4\n", 20000)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.append("a.csv", header+begin+row)
			r.ships(files{"a.csv": {header + begin}})
			ends(r)
			if err := r.w.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			shipped := r.rec.take()
			all := strings.Join(append(shipped["a.csv"], shipped["a.csv.1"]...), "")
			if !strings.Contains(all, header+row) {
				t.Errorf("shipped %.80q, want %q among it", all, header+row)
			}
		})
	}
}

func (r *rig) move(from, to string) {
	if err := os.Rename(r.path(from), r.path(to)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) age(name string, by time.Duration) {
	then := time.Now().Add(-by)
	if err := os.Chtimes(r.path(name), then, then); err != nil {
		r.t.Fatal(err)
	}
}

// TestWatchComesOverADayWithoutDriver has more lines in a row than a shipment holds that are no readings.
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
	r.append("a.csv", header+bad)
	r.ships(files{})
	r.append("a.csv", good)
	r.ships(files{"a.csv": {header + bad + good}})
	r.append("a.csv", good)
	r.ships(files{"a.csv": {header + good}})
}

func TestWatchRefusesADamagedState(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateName), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{}, dir, false, nil, nil); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}

func TestWatchRunsUntilToldToEnd(t *testing.T) {
	r := newRig(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.w.Run(ctx) }()
		for i := range 3 {
			r.append("a.csv", []string{"time,temp\n1,40\n", "2,41\n", "3,42\n"}[i])
			time.Sleep(2 * defaultInterval)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("got %v, want none", err)
		}
	})
	want := files{"a.csv": {"time,temp\n1,40\n", "time,temp\n2,41\n", "time,temp\n3,42\n"}}
	if diff := cmp.Diff(want, r.rec.take()); diff != "" {
		t.Errorf("shipped (-want +got):\n%s", diff)
	}
}
