package deploy

import (
	"regexp"
	"testing"
)

// TestEveryProgramShowsItsVersion runs the programs and their commands. A variable VERSION of the environment is not theirs.
func TestEveryProgramShowsItsVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"ingestd"}, {"ingestd", "upload"}, {"ingestd", "watch"},
		{"collectd"}, {"collectd", "rebuild"}, {"collectd", "archive"}, {"collectd", "tail"}, {"collectd", "access"},
		{"queryd"}, {"queryd", "subscribe"},
		{"standalone"},
	} {
		out, err := programCommand(t.Context(), t, args[0], []string{"VERSION=1.2.3"}, append(args[1:], "--version")...).CombinedOutput()
		line := regexp.MustCompile(`^` + args[0] + ` \S+ \(revision \S+, go1\S+ \w+/\w+\)\n$`)
		if err != nil || !line.Match(out) {
			t.Errorf("%q --version: got %q, %v; want a line such as %q", args, out, err, args[0]+" v1.2.3 (revision abcdef123456, go1.26.10 linux/amd64)")
		}
	}
}
