package build

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestDescriptions(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	stamped := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: "abcdef1234567890"}, {Key: "vcs.modified", Value: modified}}
	}
	for name, c := range map[string]struct {
		recorded    debug.BuildInfo
		line, short string
	}{
		"a tagged commit": {
			debug.BuildInfo{GoVersion: "go1.26.10", Main: debug.Module{Version: "v1.2.3"}, Settings: stamped("false")},
			"queryd v1.2.3 (revision abcdef123456, go1.26.10 " + platform + ")", "v1.2.3",
		},
		"changed files": {
			debug.BuildInfo{GoVersion: "go1.26.10", Main: debug.Module{Version: "v1.2.3+dirty"}, Settings: stamped("true")},
			"queryd v1.2.3+dirty (revision abcdef123456-modified, go1.26.10 " + platform + ")", "v1.2.3+dirty",
		},
		"a revision without version": {
			debug.BuildInfo{GoVersion: "go1.26.10", Main: debug.Module{Version: "(devel)"}, Settings: stamped("false")},
			"queryd (devel) (revision abcdef123456, go1.26.10 " + platform + ")", "abcdef123456",
		},
		"a build without version control": {
			debug.BuildInfo{GoVersion: "go1.26.10", Main: debug.Module{Version: "(devel)"}},
			"queryd (devel) (revision unknown, go1.26.10 " + platform + ")", "(devel)",
		},
		"nothing recorded": {
			debug.BuildInfo{}, "queryd unknown (revision unknown, " + runtime.Version() + " " + platform + ")", "unknown",
		},
	} {
		info := infoOf(&c.recorded)
		if got := info.describe("queryd"); got != c.line {
			t.Errorf("%s: got %q, want %q", name, got, c.line)
		}
		if got := info.shortVersion(); got != c.short {
			t.Errorf("%s: got version %q, want %q", name, got, c.short)
		}
	}
}
