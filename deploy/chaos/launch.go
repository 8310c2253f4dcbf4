package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"telemetry-pipeline/events/wait"
)

// buildAll builds the programs into dir.
func buildAll(ctx context.Context, dir string) error {
	const module = "telemetry-pipeline/"
	ours := []string{"build", "-ldflags=-s -w", "-o", dir + string(filepath.Separator), module + "deploy/standalone"}
	for _, kind := range daemonKinds() {
		ours = append(ours, module+kind)
	}
	for _, args := range [][]string{ours, {"build", "-ldflags=-s -w", "-o", filepath.Join(dir, "etcd"), "go.etcd.io/etcd/server/v3"}} {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// startAll starts etcd, then the daemons, and waits until all are ready.
func (c *cluster) startAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for _, p := range c.etcd {
		if err := p.startProcess(); err != nil {
			return err
		}
	}
	for _, address := range c.health {
		if err := awaitOK(ctx, http.DefaultClient, address+"/health"); err != nil {
			return err
		}
	}
	if err := c.createUsers(ctx); err != nil {
		return err
	}
	for _, kind := range daemonKinds() { // queryd is the last: it may not create the log, and ends where there is none
		for _, d := range c.processesOf(kind) {
			if err := d.startProcess(); err != nil {
				return err
			}
		}
		if err := c.awaitReady(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

// createUsers creates the users of etcd and has it refuse everybody else, as the runbook says.
func (c *cluster) createUsers(ctx context.Context) error {
	if c.secrets == nil {
		return nil
	}
	args := append([]string{"access", "-enable", "-etcd.endpoints=" + c.config().Endpoints}, c.secrets.etcdFlags(rootUser)...)
	if out, err := exec.CommandContext(ctx, c.first.program("collectd"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("collectd access -enable: %w\n%s", err, out)
	}
	return nil
}

// awaitReady waits until the daemons of some kinds say that they are.
func (c *cluster) awaitReady(ctx context.Context, kinds ...string) error {
	client := c.secrets.newClient("admin", 2*time.Second)
	for _, d := range c.daemons {
		if !slices.Contains(kinds, d.kind) {
			continue
		}
		if err := awaitOK(ctx, client, d.admin+"/ready"); err != nil {
			return fmt.Errorf("%s is not ready: %w", d.name, err)
		}
	}
	return nil
}

// stopAll ends everything in order and returns the errors of processes that did not end well.
func (c *cluster) stopAll() error {
	var all error
	for _, d := range c.daemons {
		all = errors.Join(all, d.stopProcess())
	}
	return errors.Join(all, c.closeAll())
}

// closeAll ends the processes that are left.
func (c *cluster) closeAll() error {
	all := c.client.Close()
	for _, d := range c.daemons {
		d.kill()
		for _, p := range d.proxies {
			p.closeAll()
		}
	}
	for _, p := range c.etcd {
		p.kill()
	}
	return all
}

// awaitOK asks until the answer is 200.
func awaitOK(ctx context.Context, client *http.Client, address string) error {
	last := "no answer"
	for {
		if resp, err := client.Get(address); err != nil {
			last = err.Error()
		} else {
			text, _ := io.ReadAll(resp.Body) // only reported
			_ = resp.Body.Close()            // it was only read
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			last = fmt.Sprintf("%d %.300s", resp.StatusCode, text)
		}
		if !wait.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("%s: not in time; last: %s", address, last)
		}
	}
}
