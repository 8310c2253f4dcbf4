package deploy

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unitValues returns the values of a key of a unit file, in order.
func unitValues(text, key string) (values []string) {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), key+"="); found {
			values = append(values, value)
		}
	}
	return values
}

// unitEnvironment returns the variables that a unit or drop-in sets, with the folders of systemd in place of its specifiers.
func unitEnvironment(text string) (env []string) {
	for _, line := range unitValues(text, "Environment") {
		env = append(env, strings.Fields(strings.NewReplacer("%S", "/var/lib", "%d", "/run/credentials/unit").Replace(line))...)
	}
	return env
}

// TestUnitsStartProgramsAsTheyAre checks that each unit starts a program with settings that it has.
func TestUnitsStartProgramsAsTheyAre(t *testing.T) {
	t.Parallel()
	started := map[string]bool{}
	for _, path := range globFiles(t, "systemd/*.service") {
		text := readText(t, path)
		command := strings.Fields(unitValues(text, "ExecStart")[0])
		program, ours := programOf(command[0])
		if started[program] = true; !ours {
			continue
		}
		env := slices.DeleteFunc(unitEnvironment(text), func(setting string) bool {
			name, _, _ := strings.Cut(setting, "=")
			return slices.Contains(command, "${"+name+"}") // systemd itself puts it into the command
		})
		checkSettings(t, path, program, env, command[1:])
		if kind := unitValues(text, "Type"); len(kind) != 1 || kind[0] != "exec" {
			t.Errorf("%s is of type %q; our programs do not notify systemd, so it has to be exec", path, kind)
		}
	}
	for program := range programs() {
		if !started[program] {
			t.Errorf("no unit starts %s", program)
		}
	}
}

// TestEtcdUnitTakesSettingsOfTheMachine starts etcd as its unit does, with a file of settings that changes one of the unit's own.
func TestEtcdUnitTakesSettingsOfTheMachine(t *testing.T) {
	t.Parallel()
	text := readText(t, filepath.Join("systemd", "telemetry-etcd.service"))
	command := strings.Fields(unitValues(text, "ExecStart")[0])
	port := freePorts(t, 2)
	clients, peers := "http://127.0.0.1:"+port[0], "http://127.0.0.1:"+port[1]
	env := append(unitEnvironment(text), "ETCD_DATA_DIR="+t.TempDir(), "ETCD_QUOTA_BACKEND_BYTES=123456789", "ETCD_LISTEN_CLIENT_URLS="+clients,
		"ETCD_ADVERTISE_CLIENT_URLS="+clients, "ETCD_LISTEN_PEER_URLS="+peers, "ETCD_INITIAL_ADVERTISE_PEER_URLS="+peers, "ETCD_INITIAL_CLUSTER=default="+peers)
	launch(t, "etcd", "etcd", env, command[1:]...)
	eventually(t, "the quota of the machine's file", func() (bool, string) {
		status, text := get(clients + "/metrics")
		return status == http.StatusOK && strings.Contains(text, "etcd_server_quota_backend_bytes 1.23456789e+08"), text[:min(len(text), 200)]
	})
}

// TestDropInsSetWhatProgramsRead checks the variables of the drop-ins, whose files systemd provides.
func TestDropInsSetWhatProgramsRead(t *testing.T) {
	t.Parallel()
	daemons := []string{"ingestd", "collectd", "queryd"}
	for path, users := range map[string][]string{
		"systemd/access.conf": append(daemons, "standalone"), "systemd/etcd-client.conf": daemons, "systemd/watch-token.conf": {"ingestd"},
	} {
		var args []string
		if path == "systemd/watch-token.conf" {
			args = []string{"watch"}
		}
		text := readText(t, path)
		for _, program := range users {
			checkSettings(t, path, program, unitEnvironment(text), args)
		}
		for _, setting := range unitEnvironment(text) {
			_, file, _ := strings.Cut(setting, "=/run/credentials/unit/")
			if !strings.Contains(text, "LoadCredential="+file+":/etc/telemetry-pipeline/") {
				t.Errorf("%s: %s names a credential that it does not load", path, setting)
			}
		}
	}
}

// mostExposure is the highest exposure of a unit in tenths, as systemd rates it: 0 is none, 100 is an unconfined service.
const mostExposure = "15"

// TestUnitsAreCorrectAndConfined has systemd check the units. An empty script stands for the programs, which it looks for.
func TestUnitsAreCorrectAndConfined(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: the units are not checked by systemd")
	}
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "program"), "#!/bin/sh\n", 0o755)
	programPath := regexp.MustCompile(`/usr/local/bin/\w+`)
	for _, path := range globFiles(t, "systemd/*.service") {
		unit := filepath.Join(folder, filepath.Base(path))
		writeFile(t, unit, programPath.ReplaceAllString(readText(t, path), filepath.Join(folder, "program")), 0o644)
		if said, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", unit).CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("systemd-analyze verify %s: %v\n%s", path, err, said)
		}
		if said, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold="+mostExposure, unit).CombinedOutput(); err != nil {
			t.Errorf("%s is more exposed than %s tenths: %v\n%s", path, mostExposure, err, said)
		}
	}
}
