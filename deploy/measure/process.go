package measure

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a running server.
type Process struct {
	Name    string
	cmd     *exec.Cmd
	exited  chan struct{}
	exitErr error // valid once exited is closed
}

// Command describes a server to start.
type Command struct {
	Name    string // of the server, for messages
	Program string
	Args    []string
	Env     []string // added to the environment
	Log     string   // file that its output is appended to
	Ready   func(context.Context) error
}

const readyWithin = 2 * time.Minute

// Start starts a server and waits until Ready returns nil. A server that does not become ready is ended.
func Start(ctx context.Context, c Command) (*Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p := &Process{Name: c.Name, cmd: exec.Command(c.Program, c.Args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.SysProcAttr = endWithParent()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	go func() {
		p.exitErr = p.cmd.Wait()
		close(p.exited)
	}()
	if err := p.awaitReady(ctx, c.Ready); err != nil {
		return nil, errors.Join(fmt.Errorf("%w (its output: %s)", err, c.Log), p.Stop())
	}
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended before it was ready: %w", p.Name, p.exitErr)
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to be ready: %w", p.Name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

const stopWithin = time.Minute

// Stop ends the process in order, and by force after a minute.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("%s did not stop within %s: %w", p.Name, stopWithin, errors.Join(p.cmd.Process.Kill()))
	}
}

// Running returns an error once the process has ended.
func (p *Process) Running() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended: %w", p.Name, p.exitErr)
	default:
		return nil
	}
}

// FreePorts returns so many TCP ports of the loopback address that nothing listens on.
func FreePorts(n int) (ports []int, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // only now, so that no port is handed out twice
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
