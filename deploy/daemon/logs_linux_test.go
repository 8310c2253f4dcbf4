package daemon

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a terminal: a program writes to one, and the other shows it.
func openTerminal(t *testing.T) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return terminal, screen
}

// A daemon and a command log text on a terminal and JSON in a pipe, unless a flag or a variable names a format.
func TestLogIsTextOnATerminalAndJSONInAPipe(t *testing.T) {
	const text, json = "level=WARN msg=hello", `"level":"WARN","msg":"hello"`
	for name, tt := range map[string]struct {
		terminal bool
		args     []string
		format   string // LOG_FORMAT
		want     string
	}{
		"auto on a terminal":     {true, nil, "", text},
		"auto in a pipe":         {false, nil, "", json},
		"auto, in words":         {true, []string{"-log.format", "auto"}, "json", text},
		"variable":               {true, nil, "json", json},
		"flag":                   {false, []string{"-log.format=text"}, "json", text},
		"json on a terminal":     {true, []string{"-log.format=json"}, "", json},
		"empty variable is auto": {false, nil, "", json},
	} {
		var written, read *os.File
		if tt.terminal {
			written, read = openTerminal(t)
		} else {
			var err error
			if read, written, err = os.Pipe(); err != nil {
				t.Fatal(err)
			}
		}
		hello := Command{Name: "hello", Needs: NeedsNothing, Run: func(_ context.Context, term Terminal, _ []string) error { term.Log.Warn("hello"); return nil }}
		build := func(_ context.Context, _ *Entrance, lg *slog.Logger) ([]Part, error) {
			lg.Warn("hello")
			return nil, errors.New("nothing to run")
		}
		vars := environment(map[string]string{"LOG_FORMAT": tt.format, "ADMIN_PORT": "0"})
		p := process{name: "test", args: append([]string{"hello"}, tt.args...), lookup: vars, stdout: written, stderr: written}
		if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, build, []Command{hello}); code != 0 {
			t.Errorf("%s: the command ended with %d", name, code)
		}
		p.args = append([]string{"-admin.port=0"}, tt.args...)
		if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, build, []Command{hello}); code != 1 {
			t.Errorf("%s: the daemon ended with %d", name, code)
		}
		buffer := make([]byte, 4096)
		var got []byte
		for bytes.Count(got, []byte("hello")) < 2 {
			n, err := read.Read(buffer)
			if err != nil {
				t.Fatalf("%s: %v after %s", name, err, got)
			}
			got = append(got, buffer[:n]...)
		}
		if n := strings.Count(string(got), tt.want); n != 2 {
			t.Errorf("%s: %s stands %d times, want 2, of the command and of the daemon:\n%s", name, tt.want, n, got)
		}
		read.Close()
		written.Close()
	}
}

func TestUnknownLogFormatsAreRefused(t *testing.T) {
	command := Command{Name: "hello", Needs: NeedsNothing, Run: func(context.Context, Terminal, []string) error { return nil }}
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		says string
	}{
		"flag":                {[]string{"-log.format=xml"}, nil, "auto"},
		"variable":            {nil, map[string]string{"LOG_FORMAT": "JSON"}, "LOG_FORMAT"},
		"flag of a command":   {[]string{"hello", "-log.format", "logfmt"}, nil, "text"},
		"variable, a command": {[]string{"hello"}, map[string]string{"LOG_FORMAT": "x"}, "json"},
		"level":               {[]string{"-log.level=TRACE"}, nil, "log.level"},
	} {
		var out bytes.Buffer
		p := process{name: "test", args: tt.args, lookup: environment(tt.env), stdout: &out, stderr: &out}
		if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, nil, []Command{command}); code != 2 || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%s: exit code %d, want 2 and %q: %s", name, code, tt.says, &out)
		}
	}
}
