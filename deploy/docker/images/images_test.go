package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

const sourceURL = "https://example.org/telemetry-pipeline"

// TestImages builds the images of the present commit in two clones in different folders, compares them byte by byte, and
// runs one of each.
func TestImages(t *testing.T) {
	commit := strings.TrimSpace(runTool(t, "git", "rev-parse", "HEAD"))
	first, second := buildImages(t, commit), buildImages(t, commit)
	compareFolders(t, first, second)
	for _, name := range programNames() {
		t.Run(name, func(t *testing.T) { checkImage(t, openImage(t, first, name, "amd64"), name, commit) })
	}
	t.Run("unpacked by others", func(t *testing.T) { checkOtherReaders(t, first) })
	t.Run("serving", func(t *testing.T) { serveImages(t, first) })
}

// buildImages builds programs and images of a commit in a clone of their own and returns the folder of the images.
func buildImages(t *testing.T, commit string) string {
	t.Helper()
	clone, programs, out := filepath.Join(t.TempDir(), "clone"), t.TempDir(), filepath.Join(t.TempDir(), "images")
	runTool(t, "git", "clone", "-q", "--shared", "../../..", clone)
	runTool(t, "git", "-C", clone, "checkout", "-q", "--detach", commit)
	cmd := exec.CommandContext(t.Context(), "../../../.ci/build", programs)
	cmd.Env = append(os.Environ(), "SOURCE="+clone)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, said)
	}
	s := settings{programs: programs, out: out, license: "../../../LICENSE", source: sourceURL, archives: true}
	if err := s.run(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	return out
}

func runTool(t *testing.T, name string, args ...string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
	}
	return string(said)
}

// compareFolders fails unless both folders have the same files with the same content.
func compareFolders(t *testing.T, one, other string) {
	t.Helper()
	a, b := readFolder(t, one), readFolder(t, other)
	if len(a) < 4*6 || len(a) != len(b) {
		t.Errorf("two builds have %d and %d files", len(a), len(b))
	}
	for path, content := range a {
		if !bytes.Equal(content, b[path]) {
			t.Errorf("%s differs between two builds of one commit", path)
		}
	}
}

func readFolder(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, folder)] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// openImage reads an image of a layout.
func openImage(t *testing.T, folder, name, arch string) v1.Image {
	t.Helper()
	top, err := layout.ImageIndexFromPath(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := top.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("the layout of %s: %v, want one index in it", name, err)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if manifest, err = index.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != len(platforms()) {
		t.Errorf("%s has %d platforms, want %d", name, len(manifest.Manifests), len(platforms()))
	}
	for _, m := range manifest.Manifests {
		if m.Platform.OS == "linux" && m.Platform.Architecture == arch {
			image, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return image
		}
	}
	t.Fatalf("%s has no image for %s", name, arch)
	return nil
}

// checkImage checks the settings of an image.
func checkImage(t *testing.T, image v1.Image, name, commit string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Config.User; got != "65532:65532" {
		t.Errorf("it runs as %q, want 65532:65532", got)
	}
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/"+name {
		t.Errorf("its entrypoint is %q, want /%s", got, name)
	}
	for label, want := range map[string]string{"title": "telemetry-pipeline/" + name, "revision": commit, "licenses": "Apache-2.0", "source": sourceURL} {
		if got := config.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	for _, label := range []string{"version", "created"} {
		if config.Config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("label %s is missing", label)
		}
	}
	if layers, err := image.Layers(); err != nil || len(layers) != 1 {
		t.Errorf("it has %d layers (%v), want one", len(layers), err)
	}
}

// checkOtherReaders has other programs read a layout, where they are installed.
func checkOtherReaders(t *testing.T, folder string) {
	for _, tool := range []string{"skopeo", "umoci"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("not checked with %s, which is not installed", tool)
		}
	}
	image := "oci:" + filepath.Join(folder, "queryd")
	if said := runTool(t, "skopeo", "inspect", image); !strings.Contains(said, `"org.opencontainers.image.title": "telemetry-pipeline/queryd"`) {
		t.Errorf("skopeo inspect shows no title:\n%s", said)
	}
	flat := filepath.Join(t.TempDir(), "flat") // umoci 0.4 reads no index inside the index
	runTool(t, "skopeo", "--override-arch", "amd64", "copy", "-q", image, "oci:"+flat+":queryd")
	bundle := filepath.Join(t.TempDir(), "bundle")
	args := []string{"unpack", "--image", flat + ":queryd", bundle}
	if os.Getuid() != 0 {
		args = append(args[:1], append([]string{"--rootless"}, args[1:]...)...)
	}
	runTool(t, "umoci", args...)
	if said := runTool(t, filepath.Join(bundle, "rootfs", "queryd"), "--version"); !strings.HasPrefix(said, "queryd v") {
		t.Errorf("the program that umoci unpacked says %q", said)
	}
}

// TestUnfitProgramsAreRefused offers the test binary itself, which has neither revision nor trimmed paths.
func TestUnfitProgramsAreRefused(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "linux-amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "linux-amd64", "queryd"), content, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"queryd": "build it with", "ingestd": ".ci/build"} {
		if _, err := readProgram(name, folder, "amd64"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
}

// TestTagsAreVersionsOfTheChart: the chart asks for the version of its programs without the v of the repository's tag, and the release
// workflow packages it so.
func TestTagsAreVersionsOfTheChart(t *testing.T) {
	for version, want := range map[string]string{
		"v0.2.0": "0.2.0", "v1.2.3-rc.1": "1.2.3-rc.1", "v0.0.0-20261201063242-db55a68aabbc+dirty": "0.0.0-20261201063242-db55a68aabbc-dirty", "(devel)": "(devel)",
	} {
		if got := (program{version: version}).tag(); got != want {
			t.Errorf("version %s: got the tag %q, want %q", version, got, want)
		}
	}
	workflow, err := os.ReadFile("../../../.github/workflows/release.yml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(workflow), `--version "${GITHUB_REF_NAME#v}" --app-version "${GITHUB_REF_NAME#v}"`) {
		t.Error("the chart is not packaged with the version of the release, without v")
	}
}
