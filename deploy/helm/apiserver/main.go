package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	var s settings
	flag.StringVar(&s.chart, "chart", filepath.Join("..", "telemetry-pipeline"), "folder of the chart")
	flag.StringVar(&s.programs, "programs", "", "folder for the programs that are built; empty means one in the user's cache")
	flag.StringVar(&s.record, "record", "", "file into which the report is written as well, if all is well")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		stop()
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct{ chart, programs, record string }

// run checks the chart and prints the report.
func (s settings) run(ctx context.Context) (err error) {
	p, err := buildPrograms(ctx, s.programs)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "apiserver")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := startCluster(ctx, p, dir)
	if err != nil {
		return err
	}
	defer c.stop()
	var text bytes.Buffer
	r := &report{out: io.MultiWriter(os.Stdout, &text)}
	check := &chartCheck{cluster: c, report: r, helm: helm{program: p.helm, kubeconfig: c.kubeconfig, home: dir}, chart: s.chart}
	if err := check.run(ctx); err != nil {
		return err
	}
	if r.faults > 0 {
		return fmt.Errorf("%d faults, see above", r.faults)
	}
	if s.record == "" {
		return nil
	}
	return os.WriteFile(s.record, text.Bytes(), 0o644)
}
