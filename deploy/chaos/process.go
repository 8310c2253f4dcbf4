package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is a program of the pipeline: its command line, and the process that runs it now. When a process ends unasked,
// it is started again, as a platform would, and the end is noted.
type process struct {
	name   string
	binary string
	args   []string
	logs   string // directory of its logs, one file per start

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	wanted bool
	starts int
	ends   []end
}

// end is the end of a process that was not asked to end.
type end struct {
	at   time.Time
	name string
	how  string
	log  string
	ran  time.Duration
}

// stopTimeout is how long a process may take to stop in order; its own budget is smaller.
const stopTimeout = 20 * time.Second

// traceSettings returns variables by which half of the uploads leave contexts of traces in stored values, which the previous release, that
// does not know them, has to pass over. Nobody receives the spans.
func traceSettings() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_TRACES_SAMPLER_ARG=0.5"}
}

// startProcess runs the program, and keeps it running until stop or kill.
func (p *process) startProcess() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
	return p.startLocked()
}

// setProgram exchanges the program that the next start runs.
func (p *process) setProgram(binary string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.binary = binary
}

func (p *process) startLocked() error {
	p.starts++
	path := filepath.Join(p.logs, fmt.Sprintf("%s.%02d.log", p.name, p.starts))
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.binary, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, append(os.Environ(), traceSettings()...)
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", p.name, err), out.Close())
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go p.awaitExit(cmd, p.ended, out, path, time.Now())
	return nil
}

// awaitExit notes how a process ended; one that should still run is started again after a second.
func (p *process) awaitExit(cmd *exec.Cmd, ended chan struct{}, out *os.File, path string, since time.Time) {
	err := cmd.Wait()
	_ = out.Close() // a log that is short shows it
	p.mu.Lock()
	if p.wanted && p.cmd == cmd {
		p.ends = append(p.ends, end{at: time.Now(), name: p.name, how: fmt.Sprint(err), log: path, ran: time.Since(since)})
		time.AfterFunc(time.Second, func() { p.revive(cmd) })
	}
	p.mu.Unlock()
	close(ended)
}

// revive starts the program again unless it runs or is not wanted any more.
func (p *process) revive(was *exec.Cmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted && p.cmd == was {
		if err := p.startLocked(); err != nil {
			p.ends = append(p.ends, end{at: time.Now(), name: p.name, how: err.Error()})
		}
	}
}

// sendSignal sends a signal to the process that runs now.
func (p *process) sendSignal(sig os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(sig) // it may have ended by itself, which await notes
	}
}

// running is nil when the process was started and has not ended.
func (p *process) running() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || !p.wanted {
		return fmt.Errorf("%s does not run", p.name)
	}
	return nil
}

func (p *process) freeze() { p.sendSignal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.sendSignal(syscall.SIGCONT) }

// kill ends the process at once and does not start it again.
func (p *process) kill() { <-p.expectExit(os.Kill) }

// stopProcess ends the process in order and returns its end.
func (p *process) stopProcess() error {
	ended := p.expectExit(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopTimeout):
		p.kill()
		return fmt.Errorf("%s did not stop within %s", p.name, stopTimeout)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s, asked to stop, ended with %s", p.name, p.cmd.ProcessState)
	}
	return nil
}

func (p *process) expectExit(sig os.Signal) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
	if p.cmd == nil {
		p.ended = make(chan struct{})
		close(p.ended)
	} else {
		_ = p.cmd.Process.Signal(sig) // it may have ended already
	}
	return p.ended
}

// unexpected returns the ends that were not asked for.
func (p *process) unexpected() []end {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]end(nil), p.ends...)
}
