package main

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// programNames returns the programs that have an image.
func programNames() []string { return []string{"ingestd", "collectd", "queryd", "standalone"} }

// platforms returns the processors for which there are images; all run Linux.
func platforms() []string { return []string{"amd64", "arm64"} }

// program is an executable and the facts that Go stamped into it.
type program struct {
	name     string
	arch     string
	version  string
	revision string // the whole commit, with "-modified" where the files differed from it
	time     time.Time
	content  []byte
}

// readProgram reads the executable of a platform. One that would not run in an empty image, or whose revision is unknown, is an error.
func readProgram(name, folder, arch string) (program, error) {
	path := filepath.Join(folder, "linux-"+arch, name)
	content, err := os.ReadFile(path)
	if err != nil {
		return program{}, fmt.Errorf("reading the program (build it with .ci/build): %w", err)
	}
	if err := checkStatic(path); err != nil {
		return program{}, err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return program{}, fmt.Errorf("reading the build information of %s: %w", path, err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	for key, want := range map[string]string{"GOOS": "linux", "GOARCH": arch, "CGO_ENABLED": "0", "-trimpath": "true"} {
		if settings[key] != want {
			return program{}, fmt.Errorf("%s was built with %s=%s, want %s: build it with .ci/build", path, key, settings[key], want)
		}
	}
	at, err := time.Parse(time.RFC3339, settings["vcs.time"])
	if err != nil || settings["vcs.revision"] == "" {
		return program{}, fmt.Errorf("%s has no revision: build it in a clone with .ci/build", path)
	}
	p := program{name: name, arch: arch, version: info.Main.Version, revision: settings["vcs.revision"], time: at.UTC(), content: content}
	if settings["vcs.modified"] == "true" {
		p.revision += "-modified"
	}
	return p, nil
}

// checkStatic returns an error for an executable that needs a loader, which an empty image has not.
func checkStatic(path string) error {
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("reading %s as a program for Linux: %w", path, err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically and does not start in an empty image: build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}

// tag returns the version as the tag of an image, in which a plus is not allowed. It has no v, like the versions of charts, whose
// default tag is the version of their programs.
func (p program) tag() string {
	return strings.ReplaceAll(strings.TrimPrefix(p.version, "v"), "+", "-")
}
