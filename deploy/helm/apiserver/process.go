package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a server and its log.
type process struct {
	name, log string
	cmd       *exec.Cmd
	ended     chan struct{} // closed when it has ended
}

// start starts a server that logs to a file in a folder.
func (c *cluster) start(dir, name, program string, args ...string) error {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), cmd: exec.Command(program, args...), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return err
	}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		_ = out.Close() // nothing was written
		return fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // its log says how it ended
		_ = out.Close()
		close(p.ended)
	}()
	c.processes = append(c.processes, p)
	return nil
}

// endedEarly returns an error with the end of its log if a server has ended.
func (c *cluster) endedEarly() error {
	for _, p := range c.processes {
		select {
		case <-p.ended:
			text, _ := os.ReadFile(p.log) // the error is about the process
			return fmt.Errorf("%s ended:\n%s", p.name, text[max(0, len(text)-2000):])
		default:
		}
	}
	return nil
}

// stopTime is how long a server may take to stop.
const stopTime = 20 * time.Second

// stop stops the servers, the last one first.
func (c *cluster) stop() {
	for i := len(c.processes) - 1; i >= 0; i-- {
		p := c.processes[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.ended:
		case <-time.After(stopTime):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	c.processes = nil
}
