package deploy

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// readCompose returns the project of the compose file, checked against the schema of the compose specification.
func readCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join("docker", "compose.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// variablesIn returns the variables of a service as NAME=value, in order.
func variablesIn(s types.ServiceConfig) (env []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		env = append(env, name+"="+*s.Environment[name])
	}
	return env
}

// TestComposeSetsWhatProgramsRead checks that each variable is a setting of its daemon, and that nothing is published beyond this machine.
func TestComposeSetsWhatProgramsRead(t *testing.T) {
	t.Parallel()
	running := map[string]int{}
	for name, s := range readCompose(t).Services {
		program, ours := programOf(s.Image)
		if running[program]++; ours {
			checkSettings(t, "compose.yaml: "+name, program, variablesIn(s), s.Command)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s beyond this machine, and ACCESS_OPEN lets everybody in", name, port.Published)
			}
		}
		if ours && !slices.Equal(s.HealthCheck.Test, []string{"CMD", "/" + program, "health"}) {
			t.Errorf("%s is checked by %q, want its own command health", name, s.HealthCheck.Test)
		}
	}
	for program, want := range map[string]int{"ingestd": 2, "collectd": 2, "queryd": 2, "etcd:v3.7.3": 3} {
		if running[program] != want {
			t.Errorf("%d services run %s, want %d", running[program], program, want)
		}
	}
}
