package deploy

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeService is a service of the compose file, as far as a test needs it.
type composeService struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
}

// variables returns the service's variables as NAME=value, in order.
func (s composeService) variables() (env []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		env = append(env, name+"="+s.Environment[name])
	}
	return env
}

// readCompose returns the services of the compose file and the names of its volumes.
func readCompose(t *testing.T) (map[string]composeService, []string) {
	t.Helper()
	var file struct {
		Services map[string]composeService
		Volumes  map[string]struct{}
	}
	if err := yaml.Unmarshal([]byte(readText(t, filepath.Join("docker", "compose.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	return file.Services, slices.Collect(maps.Keys(file.Volumes))
}

// TestComposeSetsWhatProgramsRead checks that each variable is a setting of its daemon, and that nothing is published beyond this machine.
func TestComposeSetsWhatProgramsRead(t *testing.T) {
	t.Parallel()
	services, volumes := readCompose(t)
	running := map[string]int{}
	for name, s := range services {
		program, ours := programOf(s.Image)
		if running[program]++; ours {
			checkSettings(t, "compose.yaml: "+name, program, s.variables(), s.Command)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine, and ACCESS_OPEN lets everybody in", name, port)
			}
		}
		for _, volume := range s.Volumes {
			if source, _, _ := strings.Cut(volume, ":"); !slices.Contains(volumes, source) {
				t.Errorf("%s mounts %s, which is no volume of the file", name, source)
			}
		}
	}
	for program, want := range map[string]int{"ingestd": 2, "collectd": 2, "queryd": 2, "etcd:v3.7.3": 3} {
		if running[program] != want {
			t.Errorf("%d services run %s, want %d", running[program], program, want)
		}
	}
}
