package measure

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// collector is a server that keeps the bodies it accepts, and refuses the first ones.
type collector struct {
	mu     sync.Mutex
	refuse int
	status int
	bodies map[string]int
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse > 0 || err != nil {
		c.refuse--
		w.WriteHeader(c.status)
		return
	}
	c.bodies[string(body)]++
}

// startTarget starts a process to measure, and the server in place of it.
func startTarget(t *testing.T, c *collector) Target {
	t.Helper()
	c.bodies = map[string]int{}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skip("there is no process to measure:", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := &Process{Name: "sleep", cmd: cmd}
	if _, err := p.Usage(); err != nil {
		t.Skip("this system shows no use of processes:", err)
	}
	return Target{Process: p, Address: srv.URL, Kind: "text/plain"}
}

func numbered(text []byte, n int64) []byte { return fmt.Append(text, n) }

func TestEveryPacedBodyArrivesOnce(t *testing.T) {
	t.Parallel()
	c := &collector{refuse: 3, status: http.StatusTooManyRequests}
	got, err := SendPaced(t.Context(), startTarget(t, c), 4, 50, time.Millisecond, time.Minute, numbered)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent != 50 || got.Refused != 3 || len(got.Answers) != 50 {
		t.Errorf("%d sent, %d refused, %d answers; want 50, 3, 50", got.Sent, got.Refused, len(got.Answers))
	}
	for n := range 50 {
		if times := c.bodies[fmt.Sprint(n)]; times != 1 {
			t.Errorf("body %d arrived %d times", n, times)
		}
	}
	if got.Elapsed < 49*time.Millisecond {
		t.Errorf("50 bodies a millisecond apart took %s", got.Elapsed)
	}
}

func TestALoadThatIsRefusedForGoodIsAnError(t *testing.T) {
	t.Parallel()
	c := &collector{refuse: 1, status: http.StatusBadRequest}
	if _, err := SendPaced(t.Context(), startTarget(t, c), 1, 5, time.Millisecond, time.Minute, numbered); err == nil {
		t.Error("no error")
	}
}

func TestALoopEnds(t *testing.T) {
	t.Parallel()
	c := &collector{}
	got, err := SendLoop(t.Context(), startTarget(t, c), 2, 20*time.Millisecond, numbered)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent == 0 || got.Sent != int64(len(c.bodies)) {
		t.Errorf("%d bodies were sent, %d arrived", got.Sent, len(c.bodies))
	}
}
