package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestDockerfileRunsCommandsThatWork executes the RUN lines of the Dockerfile in a folder that stands for the root of the build
// container. The programs are not compiled again: .ci/build, which the module deploy/docker/images tests, is a script that
// checks its arguments and puts empty programs where the real one does. Files are owned by nobody but the test's user.
func TestDockerfileRunsCommandsThatWork(t *testing.T) {
	t.Parallel()
	text := readText(t, filepath.Join("docker", "Dockerfile"))
	folder := t.TempDir()
	for _, dir := range []string{"src/.ci", "etc/ssl/certs", "bin"} {
		if err := os.MkdirAll(filepath.Join(folder, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(folder, "etc/ssl/certs/ca-certificates.crt"), "authorities\n", 0o644)
	writeFile(t, filepath.Join(folder, "bin/chown"), "#!/bin/sh\n[ \"$1\" = 65532:65532 ] && [ -d \"$2\" ]\n", 0o755)
	writeFile(t, filepath.Join(folder, "src/.ci/build"), `#!/bin/sh
set -eu
mkdir -p "$1/`+"${PLATFORMS%/*}-${PLATFORMS#*/}"+`"
for program in ingestd collectd queryd standalone; do : >"$1/`+"${PLATFORMS%/*}-${PLATFORMS#*/}"+`/$program"; done
`, 0o755)
	inside := regexp.MustCompile(`(^|[\s>])/(out|etc)/`)
	commands := 0
	for line := range strings.Lines(text) {
		command, isRun := strings.CutPrefix(strings.TrimSpace(line), "RUN ")
		if !isRun {
			continue
		}
		commands++
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", inside.ReplaceAllString(command, "${1}"+folder+"/${2}/"))
		cmd.Dir = filepath.Join(folder, "src")
		cmd.Env = append(os.Environ(), "TARGETARCH="+runtime.GOARCH, "PATH="+filepath.Join(folder, "bin")+":"+os.Getenv("PATH"))
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("RUN %s: %v\n%s", command, err, said)
		}
	}
	if commands < 3 {
		t.Errorf("found %d commands", commands)
	}
	copied := regexp.MustCompile(`(?m)^COPY --from=build (\S+) `).FindAllStringSubmatch(text, -1)
	if len(copied) < 5 {
		t.Errorf("found %d copies out of the build", len(copied))
	}
	for _, c := range copied {
		if _, err := os.Stat(filepath.Join(folder, c[1])); err != nil {
			t.Errorf("it copies %s, which its commands do not make", c[1])
		}
	}
	if info, err := os.Stat(filepath.Join(folder, "out/root/tmp")); err != nil || info.Mode()&os.ModeSticky == 0 || info.Mode().Perm() != 0o777 {
		t.Errorf("/tmp of the image: %v, %v; want mode 1777", info, err)
	}
}

// TestDockerfileBuildsForThePlatformThatIsAsked: BuildKit sets the variable only if the file has no default for it.
func TestDockerfileBuildsForThePlatformThatIsAsked(t *testing.T) {
	text := readText(t, filepath.Join("docker", "Dockerfile"))
	if !regexp.MustCompile(`(?m)^ARG TARGETARCH$`).MatchString(text) || strings.Contains(text, "TARGETARCH=") {
		t.Error("ARG TARGETARCH is missing or has a default, so that every platform has the programs of one")
	}
}

// TestDockerfileHasTheToolchainOfTheModule compares the version of its base image with go.mod.
func TestDockerfileHasTheToolchainOfTheModule(t *testing.T) {
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(readText(t, filepath.Join("..", "go.mod")))
	base := regexp.MustCompile(`(?m)^FROM .* golang:([0-9.]+)`).FindStringSubmatch(readText(t, filepath.Join("docker", "Dockerfile")))
	if toolchain == nil || base == nil || toolchain[1] != base[1] {
		t.Errorf("go.mod has toolchain %q, the Dockerfile golang:%q", toolchain, base)
	}
}
