package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// release is the programs of one commit.
type release struct {
	name string // a line about its build
	dir  string // of its programs
}

func (r release) program(kind string) string { return filepath.Join(r.dir, kind) }

// previousRelease is the commit of the release before this one: a run begins with its daemons.
const previousRelease = "452ba79"

// daemonKinds returns the programs of a release, in the order in which an upgrade exchanges them: a collectd knows the form of each event
// before an ingestd writes it.
func daemonKinds() []string { return []string{"collectd", "ingestd", "queryd"} }

// buildPrevious builds the programs of a commit out of the repository's history. They are kept in the user's cache directory, so that the
// next run has them at once.
func buildPrevious(ctx context.Context, commit string) (release, error) {
	hash, err := output(ctx, "git", "rev-parse", "--verify", "--quiet", commit+"^{commit}")
	if err != nil {
		return release{}, fmt.Errorf("the previous release, commit %s, is not in this repository: "+
			"git fetch --unshallow completes a shallow clone, and -previous= leaves the rolling upgrade out", commit)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return release{}, err
	}
	r := release{dir: filepath.Join(cache, "telemetry-pipeline", "releases", hash+"-"+runtime.Version())}
	if !r.complete() {
		if err := buildCommit(ctx, hash, r.dir); err != nil {
			return release{}, fmt.Errorf("release %s: %w", commit, err)
		}
	}
	r.name, err = output(ctx, r.program("queryd"), "-version")
	if err == nil && !strings.Contains(r.name, hash[:12]) {
		err = fmt.Errorf("its build calls itself %q, not revision %.12s", r.name, hash)
	}
	return r, err
}

// complete reports whether all programs are there.
func (r release) complete() bool {
	for _, kind := range append(daemonKinds(), "standalone") {
		if _, err := os.Stat(r.program(kind)); err != nil {
			return false
		}
	}
	return true
}

// buildCommit builds the programs of a commit into dir, which appears when all are there.
func buildCommit(ctx context.Context, hash, dir string) error {
	top, err := output(ctx, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	source, built := filepath.Join(work, "source"), filepath.Join(work, "built")
	if _, err := output(ctx, "git", "clone", "--quiet", "--shared", "--no-checkout", top, source); err != nil {
		return err
	}
	if _, err := output(ctx, "git", "-C", source, "checkout", "--quiet", hash); err != nil {
		return err
	}
	args := []string{"build", "-C", source, "-buildvcs=true", "-ldflags=-s -w", "-o", built + string(filepath.Separator), "./deploy/standalone"}
	for _, kind := range daemonKinds() {
		args = append(args, "./"+kind)
	}
	if _, err := output(ctx, "go", args...); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil { // an earlier one that is not complete
		return err
	}
	return os.Rename(built, dir)
}

// output runs a program and returns the text that it prints.
func output(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
