package build

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Info describes the build of a program. Version and Revision are "unknown" where the build has none.
type Info struct {
	Version  string // tag of the commit, or a version that Go derives from it; "(devel)" without version control
	Revision string // first digits of the commit, with "-modified" where the files differed from it
	Go       string // version of the toolchain
	Platform string // operating system and architecture
}

// Read returns the build of the running program.
func Read() Info {
	recorded, ok := debug.ReadBuildInfo()
	if !ok {
		recorded = &debug.BuildInfo{}
	}
	return infoOf(recorded)
}

// Version returns the version of the running program, or its revision where it has no version.
func Version() string { return Read().shortVersion() }

// String returns one line about the running program: its name, version, revision, toolchain and platform.
func String(program string) string { return Read().describe(program) }

const (
	unknown        = "unknown"
	development    = "(devel)"
	revisionDigits = 12
)

// infoOf returns the parts of recorded build information that this package describes.
func infoOf(recorded *debug.BuildInfo) Info {
	settings := map[string]string{}
	for _, s := range recorded.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	revision = cmp.Or(revision[:min(len(revision), revisionDigits)], unknown)
	if settings["vcs.modified"] == "true" {
		revision += "-modified"
	}
	return Info{
		Version:  cmp.Or(recorded.Main.Version, unknown),
		Revision: revision,
		Go:       cmp.Or(recorded.GoVersion, runtime.Version()),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

func (i Info) shortVersion() string {
	if (i.Version == unknown || i.Version == development) && i.Revision != unknown {
		return i.Revision
	}
	return i.Version
}

func (i Info) describe(program string) string {
	return fmt.Sprintf("%s %s (revision %s, %s %s)", program, i.Version, i.Revision, i.Go, i.Platform)
}
