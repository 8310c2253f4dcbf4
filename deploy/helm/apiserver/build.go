package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// programs are the paths of the programs.
type programs struct{ apiserver, etcd, helm, kubectl string }

// kubernetes is the module whose version the API server reports.
const kubernetes = "k8s.io/kubernetes"

// buildPrograms builds the programs of this module's tools in a folder, unless they are there already.
func buildPrograms(ctx context.Context, folder string) (programs, error) {
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return programs{}, err
		}
		folder = filepath.Join(cache, "telemetry-pipeline-apiserver")
	}
	version, err := moduleField(ctx, kubernetes, "Version")
	if err != nil {
		return programs{}, err
	}
	p := programs{filepath.Join(folder, "kube-apiserver"), filepath.Join(folder, "etcd"), filepath.Join(folder, "helm"), filepath.Join(folder, "kubectl")}
	// Clients cannot parse the version that the API server has without gitVersion.
	for target, args := range map[string][]string{
		p.apiserver: {"-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=" + version, kubernetes + "/cmd/kube-apiserver"},
		p.etcd:      {"go.etcd.io/etcd/server/v3"},
		p.helm:      {"helm.sh/helm/v4/cmd/helm"},
		p.kubectl:   {"-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=" + version, kubernetes + "/cmd/kubectl"},
	} {
		if _, err := runGo(ctx, append([]string{"build", "-trimpath", "-o", target}, args...)...); err != nil {
			return programs{}, err
		}
	}
	return p, nil
}

// moduleField returns a field of a module, as "go list -m" knows it.
func moduleField(ctx context.Context, module, field string) (string, error) {
	return runGo(ctx, "list", "-m", "-f", "{{."+field+"}}", module)
}

// runGo runs the go command and returns its output without the last line end.
func runGo(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &said)
	}
	return strings.TrimSpace(string(out)), nil
}
