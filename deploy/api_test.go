package deploy

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/archive/archivetest"
)

// example is a block of commands of API.md, and the output that stands below it.
type example struct{ language, commands, output string }

// apiExamples returns the examples in order.
func apiExamples(t *testing.T) (all []example) {
	t.Helper()
	for _, m := range fencedBlock.FindAllStringSubmatch(readText(t, filepath.Join("..", "docs", "API.md")), -1) {
		if m[1] == "json" {
			all[len(all)-1].output = m[2]
		} else {
			all = append(all, example{language: m[1], commands: m[2]})
		}
	}
	return all
}

// outputPattern returns the expression of an output in which … stands for anything and white space does not count.
func outputPattern(output string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(withoutSpace(output))
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, "…", ".*"))
}

func withoutSpace(text string) string { return strings.Join(strings.Fields(text), "") }

// awaitOutput reads lines until all of the output is there; lines that are missing fail the test.
func awaitOutput(t *testing.T, e example, lines <-chan string) {
	t.Helper()
	want, deadline := outputPattern(e.output), time.After(2*time.Minute)
	var got strings.Builder
	for {
		select {
		case line, more := <-lines:
			got.WriteString(withoutSpace(line))
			if want.MatchString(got.String()) {
				return
			}
			if !more {
				t.Fatalf("%s\nprinted\n%s\nwant\n%s", e.commands, &got, e.output)
			}
		case <-deadline:
			t.Fatalf("%s\nprinted only\n%s\nwithin two minutes, want\n%s", e.commands, &got, e.output)
		}
	}
}

// TestExamplesOfTheAPIGuide runs the examples of API.md in their order, and compares their outputs.
func TestExamplesOfTheAPIGuide(t *testing.T) {
	t.Parallel()
	r := newReadmeRig(t)
	standalone, _ := r.start("go run ./deploy/standalone")
	r.await(standalone, "Ctrl-C stops it.")
	examples := apiExamples(t)
	if len(examples) < 12 {
		t.Errorf("API.md shows %d examples", len(examples))
	}
	for _, e := range examples {
		if e.output == "" {
			t.Errorf("no output is shown below\n%s", e.commands)
			continue
		}
		if e.language == "sh" {
			lines, stop := r.start(e.commands)
			awaitOutput(t, e, lines)
			stop()
			continue
		}
		t.Run(e.language, func(t *testing.T) {
			script := bytes.ReplaceAll([]byte(e.commands), []byte("localhost:8080"), []byte(r.queries))
			of := &readmeRig{t: t, dir: t.TempDir(), queries: r.queries, uploads: r.uploads, env: r.env}
			lines, stop := of.follow(archivetest.Node(context.Background(), t, graphqlWS(), script))
			awaitOutput(t, e, lines)
			stop()
		})
	}
}
