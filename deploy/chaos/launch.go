package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"time"

	"telemetry-pipeline/events/wait"
)

// buildAll builds the programs into dir.
func buildAll(ctx context.Context, dir string) error {
	for name, pkg := range map[string]string{
		"ingestd": "telemetry-pipeline/ingestd", "collectd": "telemetry-pipeline/collectd", "queryd": "telemetry-pipeline/queryd",
		"etcd": "go.etcd.io/etcd/server/v3",
	} {
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
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
	for _, address := range c.clients {
		if err := awaitOK(ctx, "http://"+address+"/health"); err != nil {
			return err
		}
	}
	for _, d := range c.daemons {
		if err := d.startProcess(); err != nil {
			return err
		}
	}
	return c.awaitReady(ctx)
}

// awaitReady waits until every daemon says that it is.
func (c *cluster) awaitReady(ctx context.Context) error {
	for _, d := range c.daemons {
		if err := awaitOK(ctx, d.admin+"/ready"); err != nil {
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
func awaitOK(ctx context.Context, address string) error {
	client := &http.Client{Timeout: 2 * time.Second}
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
