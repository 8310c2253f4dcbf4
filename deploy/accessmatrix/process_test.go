package accessmatrix

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of the tests; none of them takes it.
const patience = time.Minute

// eventually asks until the answer is right.
func eventually(t *testing.T, what string, right func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ok, last := right()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s; last: %.500s", what, patience, last)
		}
	}
}

// process is a program under test. Its output is in a file.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// programCommand returns a command that runs a program in a process of its own.
func programCommand(ctx context.Context, t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), programVariable+"="+program)
	cmd.Dir = t.TempDir()
	return cmd
}

// launch starts a program and stops it with the test.
func launch(t *testing.T, program string, args ...string) *process {
	t.Helper()
	return launchWith(t, nil, program, args...)
}

// launchWith is launch with variables of the environment.
func launchWith(t *testing.T, environment []string, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: program, log: filepath.Join(t.TempDir(), program+".log"), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = programCommand(context.Background(), t, program, args...)
	p.cmd.Env = append(p.cmd.Env, environment...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", program, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		out.Close()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			text := p.output()
			t.Logf("log of %s:\n%s", program, text[max(0, len(text)-3000):])
		}
	})
	return p
}

// output returns what the process wrote until now.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s did not end after SIGTERM", p.name)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// address waits for a line of the log and returns the address in it.
func (p *process) address(message string) (address string) {
	p.t.Helper()
	eventually(p.t, p.name+" logs "+message, func() (bool, string) {
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended:\n%s", p.name, p.output())
		default:
		}
		for line := range strings.Lines(p.output()) {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
				address = entry.Addr
				return true, ""
			}
		}
		return false, ""
	})
	return address
}

// awaitReady waits until the admin listener of the process says that it is ready.
func (p *process) awaitReady(client *http.Client, admin string) {
	p.t.Helper()
	eventually(p.t, p.name+" is ready", func() (bool, string) {
		status, text := get(p.t, client, admin+"/ready")
		return status == http.StatusOK, text
	})
}

// freePort returns a port that is free now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// runProgram runs a command to its end and returns its exit code and everything that it wrote.
func runProgram(t *testing.T, environment []string, program string, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := programCommand(ctx, t, program, args...)
	cmd.Env = append(cmd.Env, environment...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	_ = cmd.Run() // the code says how it ended
	return cmd.ProcessState.ExitCode(), out.String()
}

// commandNames returns the commands that a program lists in its usage.
func commandNames(t *testing.T, program string) (names []string) {
	t.Helper()
	_, usage := runProgram(t, nil, program, "-help")
	for _, m := range regexp.MustCompile(`(?m)^`+program+` (\w+) \[flags\]`).FindAllStringSubmatch(usage, -1) {
		names = append(names, m[1])
	}
	return names
}
