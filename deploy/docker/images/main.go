package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

// settings are the flags of the command.
type settings struct {
	programs, out, license, source, push string
	archives                             bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var s settings
	flag.StringVar(&s.programs, "programs", "dist/bin", "folder with the programs, as .ci/build writes it")
	flag.StringVar(&s.out, "out", "dist/images", "folder to write, replaced if it exists: an OCI layout for each program, and the file digests.txt")
	flag.StringVar(&s.license, "license", "LICENSE", "file with the licence, which each image has a copy of")
	flag.StringVar(&s.source, "source", os.Getenv("SOURCE_URL"), "address of the source code for the images' label (SOURCE_URL); without it there is no such label")
	flag.BoolVar(&s.archives, "archives", false, "write archives for docker load too, one for each program and platform")
	flag.StringVar(&s.push, "push", "", "registry and path to push to as well, such as ghcr.io/example/telemetry-pipeline; credentials come from docker login")
	flag.Parse()
	if err := s.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// run builds all images and writes them; out gets a line for each.
func (s *settings) run(ctx context.Context, out io.Writer) error {
	license, err := os.ReadFile(s.license)
	if err != nil {
		return fmt.Errorf("reading the licence (set -license): %w", err)
	}
	var built []multiImage
	for _, name := range programNames() {
		m, err := newMultiImage(name, s.programs, s.source, license)
		if err != nil {
			return err
		}
		built = append(built, m)
	}
	if err := os.RemoveAll(s.out); err != nil {
		return fmt.Errorf("removing the images of before: %w", err)
	}
	if err := writeLayouts(s.out, built, out); err != nil {
		return err
	}
	if s.archives {
		if err := writeArchives(filepath.Join(s.out, "archives"), built); err != nil {
			return err
		}
	}
	if s.push != "" {
		return pushImages(ctx, s.push, built, out)
	}
	return nil
}
