package daemon

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCommandTakesFlagsAnywhere(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want []string
		url  string
	}{
		{"before", []string{"send", "-url", "a", "x", "y"}, nil, []string{"x", "y"}, "a"},
		{"between and behind", []string{"send", "x", "--url=a", "y"}, nil, []string{"x", "y"}, "a"},
		{"a dash is an argument", []string{"send", "-", "-url", "a"}, nil, []string{"-"}, "a"},
		{"nothing behind -- is a flag", []string{"send", "x", "--", "-url", "a"}, nil, []string{"x", "-url", "a"}, ""},
		{"environment", []string{"send", "x"}, map[string]string{"SEND_URL": "b", "URL": "c"}, []string{"x"}, "b"},
		{"environment of the daemon", []string{"send", "x"}, map[string]string{"SEND_STORE": "b", "STORE": "c"}, []string{"x"}, "c"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var url string
			var got []string
			send := Command{
				Name: "send", Needs: NeedsNothing, Prefix: "SEND_", Flags: func(fs *flag.FlagSet) { fs.StringVar(&url, "url", "", "where to") },
				Shared: func(fs *flag.FlagSet) { fs.StringVar(&url, "store", "", "where it is kept") },
				Run:    func(_ context.Context, _ Terminal, args []string) error { got = args; return nil },
			}
			var out bytes.Buffer
			p := process{name: "p", args: test.args, stdout: &out, stderr: &out, lookup: func(name string) (string, bool) {
				v, ok := test.env[name]
				return v, ok
			}}
			if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, nil, []Command{send}); code != 0 {
				t.Fatalf("exit code %d, want 0: %s", code, &out)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || url != test.url {
				t.Errorf("arguments (-want +got):\n%s, url %q, want %q", diff, url, test.url)
			}
		})
	}
}

func TestSecretsComeFromTheEnvironmentOnly(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"set":         {map[string]string{"TOKEN": "s3cret", "SEND_TOKEN": "other"}, "s3cret"},
		"empty":       {map[string]string{"TOKEN": ""}, "kept"},
		"not set":     {nil, "kept"},
		"with prefix": {map[string]string{"SEND_TOKEN": "other"}, "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			token := "kept"
			send := Command{
				Name: "send", Needs: NeedsNothing, Prefix: "SEND_", Secrets: []Secret{{Variable: "TOKEN", Usage: "proves who sends", Value: &token}},
				Run: func(context.Context, Terminal, []string) error { return nil },
			}
			run := func(args ...string) (code int, text string) {
				var out bytes.Buffer
				p := process{name: "p", args: append([]string{"send"}, args...), stdout: &out, stderr: &out, lookup: environment(tt.env)}
				return runProcess(t.Context(), p, func(*flag.FlagSet) {}, nil, []Command{send}), out.String()
			}
			if code, text := run(); code != 0 || token != tt.want {
				t.Errorf("exit code %d, token %q, want %q: %s", code, token, tt.want, text)
			}
			if code, text := run("-help"); code != 0 || !strings.Contains(text, "TOKEN (") || !strings.Contains(text, "proves who sends") || strings.Contains(text, "s3cret") {
				t.Errorf("exit code %d, help:\n%s", code, text)
			}
			if code, _ := run("-token=x"); code != 2 {
				t.Errorf("a token on the command line: exit code %d, want 2", code)
			}
		})
	}
}

func TestCommandExitCodes(t *testing.T) {
	tests := []struct {
		name string
		args []string
		err  error
		code int
		says string
	}{
		{"done", []string{"send"}, nil, 0, ""},
		{"failed", []string{"send"}, errors.New("no such file"), 1, "p send: no such file"},
		{"misused", []string{"send"}, &UsageError{"name a file"}, 2, "name a file"},
		{"an own code", []string{"send"}, &ExitError{3}, 3, ""},
		{"unknown flag", []string{"send", "-nope"}, nil, 2, "-nope"},
		{"help", []string{"send", "-help"}, errors.New("not reached"), 0, "sends files"},
		{"unknown command", []string{"sent"}, nil, 2, "send"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			send := Command{Name: "send", Needs: NeedsNothing, Summary: "sends files", Run: func(context.Context, Terminal, []string) error { return test.err }}
			var out bytes.Buffer
			p := process{name: "p", args: test.args, stdout: &out, stderr: &out, lookup: func(string) (string, bool) { return "", false }}
			if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, nil, []Command{send}); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(out.String(), test.says) {
				t.Errorf("it said %q, want it to say %q", &out, test.says)
			}
		})
	}
}
