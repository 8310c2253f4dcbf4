package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// runbook is a section of a page below docs/runbooks, and the jobs that its commands make.
type runbook struct {
	page, section string
	jobs          []string
}

func runbooks() []runbook {
	return []runbook{
		{"etcd-members.md", "Commands with the chart", []string{"status", "members"}},
		{"etcd-members.md", "Replace a member of the chart", []string{"ids", "remove-2", "add-2"}},
		{"etcd-members.md", "Renew the authority of the chart's certificates", nil},
		{"backup.md", "With the chart", []string{"list", "restore-0", "restore-1", "restore-2", "restored"}},
	}
}

// checkRunbooks runs the commands of runbooks on the release.
func (k *chartCheck) checkRunbooks(ctx context.Context) error {
	k.report.line("\n== commands of runbooks on the release, but for the ones about pods: none run here")
	function := ""
	before, err := k.authority(ctx)
	if err != nil {
		return err
	}
	for _, book := range runbooks() {
		commands, err := k.commandsOf(book)
		if err != nil {
			return err
		}
		if function == "" {
			function = commands // the first section has the function of the others
		} else {
			commands = function[:strings.Index(function, "\n}\n")+3] + commands
		}
		if err := k.runCommands(ctx, book, commands); err != nil {
			return err
		}
	}
	after, err := k.authority(ctx)
	if err != nil {
		return err
	}
	if before == after {
		k.report.fault("the authority of the certificates is the one from before")
	}
	return k.checkRestored(ctx)
}

// commandsOf returns the commands of a section with the chart and values of this release, without the ones about pods and their claims.
func (k *chartCheck) commandsOf(book runbook) (string, error) {
	text, err := os.ReadFile(filepath.Join(k.chart, "..", "..", "..", "docs", "runbooks", book.page))
	if err != nil {
		return "", err
	}
	_, section, found := strings.Cut(string(text), "# "+book.section+"\n")
	if !found {
		return "", fmt.Errorf("%s has no section %q", book.page, book.section)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var kept []string
	for line := range strings.Lines(section) {
		command, indented := strings.CutPrefix(line, "    ")
		aboutPods := slices.ContainsFunc([]string{"rollout status", "condition=ready", "delete pod ", "delete pvc ", "telemetry logs "}, func(part string) bool { return strings.Contains(line, part) })
		if indented && !aboutPods {
			kept = append(kept, command)
		}
	}
	if len(kept) == 0 {
		return "", fmt.Errorf("%s has no commands under %q", book.page, book.section)
	}
	return strings.NewReplacer(
		"./deploy/helm/telemetry-pipeline -f your-values.yaml", fmt.Sprintf("%s -f %s/values-nexus.yaml --set etcd.persistence.size=50Gi", k.chart, k.chart),
		"snapshot-….db", "snapshot-20260101T000000Z.db", "15m", "1m",
	).Replace(strings.Join(kept, "")), nil
}

// runCommands runs the commands of a section, and checks the jobs that they make and the pods of those.
func (k *chartCheck) runCommands(ctx context.Context, book runbook, commands string) error {
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", commands)
	cmd.Env = k.helm.env()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		k.report.fault("%s, %s: %v\n%s", book.page, book.section, err, &said)
	}
	jobs := k.cluster.objects.Resource(resource("batch", "v1", "jobs")).Namespace(releaseNamespace)
	for _, name := range book.jobs {
		job, err := jobs.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			k.report.fault("%s, %s: job %s: %v", book.page, book.section, name, err)
			continue
		}
		if err := k.cluster.dryRun(ctx, podOf(job), releaseNamespace); err != nil {
			k.report.fault("%s, %s: the pod of job %s: %v", book.page, book.section, name, err)
		}
	}
	k.report.line("done: %s, %s: %s", book.page, book.section, strings.Join(slices.Concat([]string{"commands"}, book.jobs), ", "))
	return nil
}

// authority returns the certificate of the authority of etcd's certificates.
func (k *chartCheck) authority(ctx context.Context) (string, error) {
	secret, err := k.cluster.objects.Resource(resource("", "v1", "secrets")).Namespace(releaseNamespace).Get(ctx, release+"-etcd-server", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	text, _, err := unstructured.NestedString(secret.Object, "data", "ca.crt")
	return text, err
}

// checkRestored checks the release after the restore: etcd is on the other directory, and the daemons and the snapshots are back.
func (k *chartCheck) checkRestored(ctx context.Context) error {
	apps := func(kind, name string) (*unstructured.Unstructured, error) {
		return k.cluster.objects.Resource(resource("apps", "v1", kind)).Namespace(releaseNamespace).Get(ctx, release+"-"+name, metav1.GetOptions{})
	}
	etcd, err := apps("statefulsets", "etcd")
	if err != nil {
		return err
	}
	if text := fmt.Sprint(etcd.Object); !strings.Contains(text, "--data-dir=/var/lib/etcd/restored") {
		k.report.fault("etcd is not on the restored directory: %s", text)
	}
	for _, name := range []string{"nexus-streamer", "nexus-gateway", "nexus-collector"} {
		daemon, err := apps("deployments", name)
		if err != nil {
			return err
		}
		if n, _, _ := unstructured.NestedInt64(daemon.Object, "spec", "replicas"); n != 2 {
			k.report.fault("%s has %d replicas after the restore, want 2", name, n)
		}
	}
	snapshots, err := k.cluster.objects.Resource(resource("batch", "v1", "cronjobs")).Namespace(releaseNamespace).Get(ctx, release+"-etcd-snapshot", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if suspended, _, _ := unstructured.NestedBool(snapshots.Object, "spec", "suspend"); suspended {
		k.report.fault("the snapshots are still suspended after the restore")
	}
	return nil
}
