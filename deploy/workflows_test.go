package deploy

import (
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"
)

// workflow is a file of GitHub workflows, as far as a test needs it.
type workflow struct {
	Permissions map[string]string
	Jobs        map[string]struct {
		Timeout     int `yaml:"timeout-minutes"`
		Permissions map[string]string
		Steps       []struct{ Uses, Run string }
	}
}

// TestWorkflowsAreBounded checks that each action is pinned by its digest, and that a job has a time limit and no right that it does not name.
func TestWorkflowsAreBounded(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	scripts := map[string]bool{}
	for _, path := range globFiles(t, "../.github/workflows/*.yml") {
		var w workflow
		if err := yaml.Unmarshal([]byte(readText(t, path)), &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if w.Permissions == nil || len(w.Permissions) > 0 {
			t.Errorf("%s: permissions are %v, want none for all jobs", path, w.Permissions)
		}
		for name, job := range w.Jobs {
			if job.Timeout == 0 || len(job.Permissions) == 0 || len(job.Steps) == 0 {
				t.Errorf("%s: job %s needs a time limit, permissions of its own and steps", path, name)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s is not pinned by a digest", path, step.Uses)
				}
				scripts[step.Run] = true
			}
		}
	}
	for _, want := range []string{"bash .ci/run", ".ci/release dist/release", `sudo -E env PATH="$PATH" go tool task images:test`, "go tool task chart:apiserver"} {
		if !scripts[want] {
			t.Errorf("no workflow runs %q", want)
		}
	}
}
