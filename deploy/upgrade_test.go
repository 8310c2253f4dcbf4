package deploy

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// upgradeCommands returns the command lines of the runbook of upgrades, without comments; continued lines are joined.
func upgradeCommands(t *testing.T) (all []string) {
	t.Helper()
	text := strings.ReplaceAll(readText(t, filepath.Join("..", "docs", "runbooks", "upgrade.md")), "\\\n", " ")
	for line := range strings.Lines(text) {
		if command, indented := strings.CutPrefix(line, "    "); indented {
			command, _, _ = strings.Cut(command, " #")
			all = append(all, strings.TrimSpace(command))
		}
	}
	return all
}

// TestUpgradeRunbookNamesThingsThatExist checks our programs' commands, units, services, images and ports. deploy/helm checks the chart's.
func TestUpgradeRunbookNamesThingsThatExist(t *testing.T) {
	t.Parallel()
	services := readCompose(t).Services
	ports := []string{"8080", "8081", "9080", "9081", "9082", "9090"}
	local := regexp.MustCompile(`localhost:(\d+)/`)
	seen := map[string]int{}
	for _, command := range upgradeCommands(t) {
		words := strings.Fields(command)
		switch seen[words[0]]++; words[0] {
		case "collectd":
			checkSettings(t, "upgrade.md", words[0], nil, words[1:])
		case "systemctl":
			globFiles(t, "systemd/"+words[len(words)-1]+".service")
		case "docker":
			checkDockerCommand(t, services, words)
		case "cp", "install":
			program := strings.TrimSuffix(filepath.Base(words[len(words)-1]), ".previous")
			if _, ours := programOf(program); !ours && program != "etcd" && program != "telemetry-standalone.before" {
				t.Errorf("%s: %s is no program", command, program)
			}
		}
		for _, m := range local.FindAllStringSubmatch(command, -1) {
			if seen["port"]++; !slices.Contains(ports, m[1]) {
				t.Errorf("%s: nothing listens on port %s by default", command, m[1])
			}
		}
	}
	for _, kind := range []string{"collectd", "systemctl", "docker", "install", "helm", "kubectl", "etcdctl", "port"} {
		if seen[kind] == 0 {
			t.Errorf("found no command line of %s", kind)
		}
	}
}

// checkDockerCommand checks the names of services, of images and of the compose file.
func checkDockerCommand(t *testing.T, services types.Services, words []string) {
	t.Helper()
	last := words[len(words)-1]
	switch words[1] {
	case "tag":
		for _, image := range words[2:] {
			image, _, _ = strings.Cut(image, ":")
			if !slices.ContainsFunc(slices.Collect(maps.Values(services)), func(s types.ServiceConfig) bool { return s.Image == image }) {
				t.Errorf("%s: no service has the image %s", strings.Join(words, " "), image)
			}
		}
	case "compose":
		readText(t, filepath.Join("..", words[3]))
		if _, there := services[last]; words[4] == "up" && !there {
			t.Errorf("%s: there is no service %s", strings.Join(words, " "), last)
		}
	}
}
