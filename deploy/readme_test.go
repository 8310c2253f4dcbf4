package deploy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"telemetry-pipeline/events/archive/archivetest"
)

// readmeRig runs the commands of README in a folder that stands for a checkout. They run as they are printed, by a shell,
// but for two things: localhost:8080 and localhost:8081 become addresses with free ports, where a command does not take
// these from its environment; and "go run ./PROGRAM" runs a program that is compiled already.
type readmeRig struct {
	t                *testing.T
	dir              string
	queries, uploads string // host:port
	env              []string
}

func newReadmeRig(t *testing.T) *readmeRig {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skipf("the commands of README need %s: %v", tool, err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	port, dir := freePorts(t, 3), t.TempDir()
	r := &readmeRig{t: t, dir: dir, queries: "127.0.0.1:" + port[0], uploads: "127.0.0.1:" + port[1]}
	r.env = append(os.Environ(),
		"PORT="+port[0], "HTTP_PORT="+port[1], "ADMIN_PORT="+port[2], "QUERY_HOST=127.0.0.1", "HTTP_HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1",
		"SUBSCRIBE_URL=http://"+r.queries, "UPLOAD_URL=http://"+r.uploads, "PATH="+r.goCommand()+string(os.PathListSeparator)+os.Getenv("PATH"))
	return r
}

// goCommand returns a folder with a command named go that knows "go run ./PROGRAM" only, and runs that program, which is
// this test binary.
func (r *readmeRig) goCommand() string {
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("#!/bin/sh\n[ \"$1\" = run ] || exit 64\nprogram=$2\nshift 2\ncase $program in\n")
	for folder, name := range map[string]string{"./ingestd": "ingestd", "./collectd": "collectd", "./queryd": "queryd", "./deploy/standalone": "standalone"} {
		fmt.Fprintf(&script, "%s) %s=%s exec %s \"$@\" ;;\n", folder, programVariable, name, self)
	}
	script.WriteString("*) echo \"no program $program\" >&2; exit 64 ;;\nesac\n")
	folder := r.t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "go"), []byte(script.String()), 0o700); err != nil {
		r.t.Fatal(err)
	}
	return folder
}

// start starts a block of README's commands. The lines of its standard output can be received; the channel is closed when
// it has ended.
func (r *readmeRig) start(block string) (lines <-chan string, stop func()) {
	r.t.Helper()
	cmd := exec.CommandContext(context.Background(), "bash", "-euc", strings.NewReplacer("localhost:8080", r.queries, "localhost:8081", r.uploads).Replace(block))
	return r.follow(cmd)
}

func (r *readmeRig) follow(cmd *exec.Cmd) (<-chan string, func()) {
	r.t.Helper()
	cmd.Dir, cmd.Env = r.dir, r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that a signal reaches the children of the shell, as Ctrl-C does
	cmd.Stderr = r.t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
		_ = cmd.Wait() // the end of its output is looked at
	}()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) // it may have ended
		for range lines {
		}
	}
	r.t.Cleanup(stop)
	return lines, stop
}

// await returns the first line that contains text, and every line before it.
func (r *readmeRig) await(lines <-chan string, text string) string {
	r.t.Helper()
	deadline := time.After(2 * time.Minute)
	var seen strings.Builder
	for {
		select {
		case line, more := <-lines:
			if !more {
				r.t.Fatalf("it ended without %q; its output:\n%s", text, &seen)
			}
			fmt.Fprintln(&seen, line)
			if strings.Contains(line, text) {
				return seen.String()
			}
		case <-deadline:
			r.t.Fatalf("no %q within two minutes; its output:\n%s", text, &seen)
		}
	}
}

// run runs a block of commands to its end and returns its standard output.
func (r *readmeRig) run(block string) string {
	r.t.Helper()
	const end = "that was all"
	lines, stop := r.start(block + "\necho; echo " + end + "\n")
	defer stop()
	return strings.TrimSuffix(r.await(lines, end), end+"\n")
}

// fencedBlock matches a block of code with its language.
var fencedBlock = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// usesOfReadme returns the blocks of README's section about uses, in order, by language.
func usesOfReadme(t *testing.T) map[string][]string {
	t.Helper()
	_, section, found := strings.Cut(readText(t, filepath.Join("..", "README.md")), "\n## Three uses\n")
	if !found {
		t.Fatal("README has no section Three uses")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := map[string][]string{}
	for _, m := range fencedBlock.FindAllStringSubmatch(section, -1) {
		blocks[m[1]] = append(blocks[m[1]], m[2])
	}
	return blocks
}

// graphqlWS returns the npm packages that README's example of a subscription imports.
func graphqlWS() []string { return []string{"graphql-ws@6.4.2", "ws@8.23.0"} }

// TestReadmeShowsCommandsThatWork runs the commands of README's three uses in its order.
func TestReadmeShowsCommandsThatWork(t *testing.T) {
	t.Parallel()
	blocks := usesOfReadme(t)
	if len(blocks["sh"]) != 4 || len(blocks["js"]) != 1 {
		t.Fatalf("README shows %d blocks of commands and %d of JavaScript for its uses; this test knows 4 and 1", len(blocks["sh"]), len(blocks["js"]))
	}
	begin, upload, subscribe, replay := blocks["sh"][0], blocks["sh"][1], blocks["sh"][2], blocks["sh"][3]
	r := newReadmeRig(t)

	standalone, stopStandalone := r.start(begin)
	r.await(standalone, "Ctrl-C stops it.")
	said := r.run(upload)
	for _, part := range []string{`"accepted":2`, `"hostname":"node-7"`, `"power_draw":66.781`} {
		if !strings.Contains(said, part) {
			t.Errorf("uploading printed %s, want %s in it", said, part)
		}
	}

	live, stopLive := r.start(subscribe)
	r.await(live, `"powerDraw":66.781`)
	r.uploadUntil(upload, live, `"powerDraw":66.781`)
	stopLive()

	said = r.run(replay)
	for _, pattern := range []string{` 0 differences`, `generation \w+ is active`, `(?m)^\w+ +\d+ +active .* 64 of 64 +0 `} {
		if !regexp.MustCompile(pattern).MatchString(said) {
			t.Errorf("rebuilding printed\n%s\nwant %s in it", said, pattern)
		}
	}

	t.Run("graphql-ws", func(t *testing.T) {
		r := &readmeRig{t: t, dir: t.TempDir(), queries: r.queries, uploads: r.uploads, env: r.env}
		script := bytes.ReplaceAll([]byte(blocks["js"][0]), []byte("localhost:8080"), []byte(r.queries))
		const update = "node-7 GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52 66.781 W"
		lines, stop := r.follow(archivetest.Node(context.Background(), t, graphqlWS(), script))
		r.await(lines, update)
		r.uploadUntil(upload, lines, update)
		stop()
	})
	stopStandalone()
}

// uploadUntil uploads readings until they are new, which readings of the same second are not, and awaits their update.
func (r *readmeRig) uploadUntil(upload string, lines <-chan string, update string) {
	r.t.Helper()
	eventually(r.t, "an upload of new readings", func() (bool, string) {
		said := r.run(upload)
		return strings.Contains(said, `"accepted":2`), said
	})
	r.await(lines, update)
}
