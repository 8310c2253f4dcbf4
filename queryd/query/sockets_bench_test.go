package query

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/live/livetest"
	"telemetry-pipeline/queryd/socket"
)

const (
	// readersVariable makes the test binary the readers of BenchmarkSockets instead: it names the server and, behind a space,
	// the filter of each subscription, in which NUMBER stands for its GPU.
	readersVariable = "SOCKET_READERS"

	socketReaders = 10_000
)

// BenchmarkSockets measures the time from the commit of an update to its arrival at 10,000 sockets of another process. One
// iteration is a second, in which every GPU of 10,000 reports once: to a subscription of its own, or each of ten hosts to
// subscriptions of everything.
func BenchmarkSockets(b *testing.B) {
	for _, c := range []struct {
		name, filter string
		updates      int // of hosts, per second
	}{
		{"own GPU", `{"gpu":["GPU-5fd4f087-86f3-7a43-b711-NUMBER"]}`, socketReaders / 8},
		{"whole fleet", `{"metric":["power_draw"]}`, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			store := newFleetStore(socketReaders / 8)
			s, err := New(Config{Host: "127.0.0.1", Port: FreePort, Socket: socket.Config{PerIP: 2 * socketReaders}}, store, eventless{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			base, _ := startServer(b, s)
			readers := startReaders(b, base+" "+c.filter)
			pace := time.NewTicker(time.Second / time.Duration(c.updates))
			defer pace.Stop()
			host, begun := 0, cpuSeconds()
			for b.Loop() {
				for range c.updates {
					<-pace.C
					store.updatePower(host)
					host = (host + 1) % store.hosts
				}
			}
			b.ReportMetric((cpuSeconds()-begun)/float64(b.N), "server-cpu")
			readers.report(b)
		})
	}
}

// updatePower stores a new power draw of a host's GPUs.
func (f *fleetStore) updatePower(host int) {
	now := time.Now()
	all := make([]livetest.Reading, 8)
	for g := range all {
		all[g] = livetest.Reading{Host: f.hostName(host), UUID: f.uuid(host, g), Index: g, Model: fleetModel, Driver: fleetDriver, Labels: fleetLabels(),
			Metric: "DCGM_FI_DEV_POWER_USAGE", At: events.TimestampOf(now), Value: now.UnixNano() % 700_000, Exponent: -3}
	}
	f.Store(fleetGeneration, f.fleet.Report(all...))
}

// socketProcess is the process of the readers.
type socketProcess struct {
	stop io.WriteCloser
	out  *bufio.Reader
	cmd  *exec.Cmd
}

// startReaders starts the readers and waits until each of them is subscribed.
func startReaders(b *testing.B, target string) *socketProcess {
	b.Helper()
	p := &socketProcess{cmd: exec.CommandContext(b.Context(), os.Args[0])}
	p.cmd.Env = append(os.Environ(), readersVariable+"="+target)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.stop, err = p.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("readers: %q, %v", line, err)
	}
	return p
}

// report stops the readers and reports their measurements.
func (p *socketProcess) report(b *testing.B) {
	b.Helper()
	if err := p.stop.Close(); err != nil {
		b.Fatal(err)
	}
	var got readersResult
	if err := json.NewDecoder(p.out).Decode(&got); err != nil {
		b.Fatalf("readers: %v", err)
	}
	if err := p.cmd.Wait(); err != nil {
		b.Fatalf("readers: %v", err)
	}
	b.ReportMetric(got.P50, "p50-ms")
	b.ReportMetric(got.P99, "p99-ms")
	b.ReportMetric(got.Most, "max-ms")
	b.ReportMetric(float64(got.Updates)/float64(b.N), "updates/s")
	b.ReportMetric(got.CPU/float64(b.N), "reader-cpu")
}

// readersResult is the delay of updates in milliseconds.
type readersResult struct {
	Updates             int
	P50, P99, Most, CPU float64
}

// readSockets is the main function of the readers. They end when standard input does.
func readSockets(target string) int {
	base, filter, _ := strings.Cut(target, " ")
	r := &socketReading{}
	var dialing sync.WaitGroup
	numbers := make(chan int)
	for range 32 {
		dialing.Go(func() {
			for n := range numbers {
				gpu := fmt.Sprintf("%08d%04d", n/8, n%8)
				if err := r.dialReader("ws"+strings.TrimPrefix(base, "http")+"/ws", strings.ReplaceAll(filter, "NUMBER", gpu)); err != nil {
					failReader("subscribing: %v", err)
				}
			}
		})
	}
	for n := range socketReaders {
		numbers <- n
	}
	close(numbers)
	dialing.Wait()
	r.begun = cpuSeconds()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin) // its end is the signal
	if err := json.NewEncoder(os.Stdout).Encode(r.result()); err != nil {
		return 1
	}
	return 0
}

// socketReading collects the delays of all readers.
type socketReading struct {
	mu     sync.Mutex
	delays []float64
	begun  float64 // CPU seconds when every reader was subscribed
}

// dialReader opens a socket, subscribes, waits for the beginning and leaves a goroutine to read the rest.
func (r *socketReading) dialReader(address, filter string) error {
	dialer := websocket.Dialer{Subprotocols: []string{"gpu.live.v1"}, ReadBufferSize: 1 << 10, WriteBufferSize: 512}
	conn, _, err := dialer.Dial(address, nil)
	if err != nil {
		return err
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"op":"sub","id":"a","hz":20,"snapshot":false,"filter":`+filter+`}`)); err != nil {
		return err
	}
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(text, []byte(`{"t":"synced"`)) {
			break
		}
	}
	go r.readUpdates(conn)
	return nil
}

// readUpdates measures updates until the process ends.
func (r *socketReading) readUpdates(conn *websocket.Conn) {
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			failReader("reading: %v", err)
		}
		now := time.Now()
		_, rest, ok := bytes.Cut(text, []byte(`"ts":"`))
		if !ok || !bytes.HasPrefix(text, []byte(`{"t":"upd"`)) {
			continue
		}
		at, _, _ := bytes.Cut(rest, []byte(`"`))
		sent, err := time.Parse(time.RFC3339Nano, string(at))
		if err != nil {
			failReader("reading: %v", err)
		}
		r.mu.Lock()
		r.delays = append(r.delays, float64(now.Sub(sent))/1e6)
		r.mu.Unlock()
	}
}

// failReader ends the process of the readers.
func failReader(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func (r *socketReading) result() (out readersResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out.CPU = cpuSeconds() - r.begun
	if out.Updates = len(r.delays); out.Updates > 0 {
		slices.Sort(r.delays)
		out.P50, out.P99, out.Most = r.delays[out.Updates/2], r.delays[out.Updates*99/100], r.delays[out.Updates-1]
	}
	return out
}

// cpuSeconds returns the CPU time of this process.
func cpuSeconds() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
}
