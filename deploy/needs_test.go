package deploy

import (
	"regexp"
	"strings"
	"testing"
)

// TestEveryCommandShowsItsNeeds reads the commands of each program from its help, and the credentials that each needs from the
// command's.
func TestEveryCommandShowsItsNeeds(t *testing.T) {
	t.Parallel()
	found := 0
	for program := range programs() {
		help, err := programCommand(t.Context(), t, program, nil, "-help").CombinedOutput()
		if err != nil {
			t.Fatalf("%s -help: %v\n%s", program, err, help)
		}
		for _, match := range regexp.MustCompile(`(?m)^`+program+` (\w+) \[flags\]`).FindAllStringSubmatch(string(help), -1) {
			found++
			text, err := programCommand(t.Context(), t, program, nil, match[1], "-help").CombinedOutput()
			if err != nil || !strings.Contains(string(text), "\nNeeds ") || strings.Contains(string(text), "Needs are not named") {
				t.Errorf("%s %s -help: %v, it does not say which credentials it needs:\n%s", program, match[1], err, text)
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d commands, want those of all programs", found)
	}
}
