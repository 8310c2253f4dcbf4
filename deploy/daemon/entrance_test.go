package daemon

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"telemetry-pipeline/events/access"
)

// TestProcessesThatOthersReachUnaskedEnd runs a process whose admin listener, or a part's, other machines would reach.
func TestProcessesThatOthersReachUnaskedEnd(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "principals")
	if err := os.WriteFile(empty, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("tp_token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		env  map[string]string
		part string // host of a part's listener
		code int
		says []string
	}{
		"this machine":             {nil, nil, "", 0, nil},
		"all interfaces":           {[]string{"-admin.host=0.0.0.0"}, nil, "", 2, []string{"admin.host", "-access.file", "-oidc.issuer", "-tls.client-ca", "-access.open"}},
		"a star":                   {[]string{"-admin.host=*"}, nil, "", 2, []string{"-access.open"}},
		"by variable":              {nil, map[string]string{"ADMIN_HOST": "::"}, "", 2, []string{"-access.open"}},
		"a part":                   {nil, nil, "0.0.0.0", 2, []string{"part.host", "-access.open"}},
		"open by word":             {[]string{"-admin.host=0.0.0.0", "-access.open"}, nil, "0.0.0.0", 0, nil},
		"open by variable":         {[]string{"-admin.host=0.0.0.0"}, map[string]string{"ACCESS_OPEN": "true"}, "0.0.0.0", 0, nil},
		"a file of principals":     {[]string{"-admin.host=0.0.0.0", "-access.file=" + empty}, nil, "0.0.0.0", 0, nil},
		"open and a file":          {[]string{"-access.open", "-access.file=" + empty}, nil, "", 2, []string{"access.open"}},
		"no file":                  {[]string{"-access.file=" + empty + ".none"}, nil, "", 2, []string{"access.file"}},
		"a bad file":               {[]string{"-access.file=" + bad}, nil, "", 2, []string{"access.file", "line 1"}},
		"a certificate, no key":    {[]string{"-tls.cert=" + empty}, nil, "", 2, []string{"tls."}},
		"certificates, no names":   {[]string{"-tls.client-ca=" + empty}, nil, "", 2, []string{"tls."}},
		"an origin with a path":    {[]string{"-access.origins=https://a.example/x"}, nil, "", 2, []string{"access.origins"}},
		"any origin":               {[]string{"-access.origins=*"}, nil, "", 2, []string{"access.origins"}},
		"a proxy by name":          {[]string{"-trusted-proxies=proxy"}, nil, "", 2, []string{"trusted-proxies"}},
		"no failed logins":         {[]string{"-access.login-rate=-1"}, nil, "", 2, []string{"access.login-rate"}},
		"an audit log in no place": {[]string{"-access.audit=" + empty + "/x/y"}, nil, "", 2, []string{"access.audit"}},
	} {
		var stderr bytes.Buffer
		p := process{name: "test", args: append([]string{"-admin.port=0"}, tt.args...), lookup: environment(tt.env), stdout: &stderr, stderr: &stderr}
		build := func(_ context.Context, in *Entrance, lg *slog.Logger) ([]Part, error) {
			_, err := access.OpenGate(in.Guard, "part.host", tt.part, tt.part == "", lg)
			return []Part{{Name: "once", Run: func(context.Context) error { return nil }}}, err
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // a process that starts stops at once
		if code := runProcess(ctx, p, func(*flag.FlagSet) {}, build, nil); code != tt.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, tt.code, &stderr)
		}
		for _, part := range tt.says {
			if !strings.Contains(stderr.String(), part) {
				t.Errorf("%s: it does not name %s: %s", name, part, &stderr)
			}
		}
		if strings.Contains(stderr.String(), "tp_token") {
			t.Errorf("%s: it shows the file's content: %s", name, &stderr)
		}
	}
}

func TestSecretsAreLeftOutOfTheLog(t *testing.T) {
	const secret = "s3cret"
	var log bytes.Buffer
	c := logConfig{level: slog.LevelDebug}
	lg := c.newLogger(&log)
	for _, key := range []string{"token", "Token", "TOKEN", "authorization", "Authorization", "password", "cookie", "secret"} {
		lg.Info("m", key, secret)
		lg.Debug("m", slog.Group("request", slog.Group("header", slog.String(key, secret))))
		lg.With(key, secret).Warn("m")
		lg.WithGroup("request").With(key, secret).Error("m", key, []string{secret})
	}
	if strings.Contains(log.String(), secret) || strings.Count(log.String(), "(left out)") != 8*5 {
		t.Errorf("got\n%s", &log)
	}
}

func TestCommandsThatNameNoNeedsAreRefused(t *testing.T) {
	ran := false
	command := Command{Name: "forgotten", Run: func(context.Context, Terminal, []string) error { ran = true; return nil }}
	var stderr bytes.Buffer
	p := process{name: "test", args: []string{"forgotten"}, lookup: environment(nil), stdout: &stderr, stderr: &stderr}
	if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, nil, []Command{command}); code != 2 || ran || !strings.Contains(stderr.String(), "forgotten") {
		t.Errorf("exit code %d, ran %t: %s", code, ran, &stderr)
	}
	for needs, part := range map[Needs]string{NeedsNothing: "no credentials", NeedsToken: "-token-file", NeedsEtcd: "etcd user"} {
		var help bytes.Buffer
		command.Needs, p.args, p.stdout = needs, []string{"forgotten", "-help"}, &help
		if code := runProcess(t.Context(), p, func(*flag.FlagSet) {}, nil, []Command{command}); code != 0 || !strings.Contains(help.String(), part) {
			t.Errorf("exit code %d, help without %q: %s", code, part, &help)
		}
	}
}

// A password on a command line is refused, by a process and by its commands, and not shown.
func TestPasswordsAreNotTakenFromTheCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-etcd.password=s3cret"}, {"--etcd.password", "s3cret"}, {"send", "-etcd.password=s3cret"}} {
		var out bytes.Buffer
		var password string
		flags := func(fs *flag.FlagSet) { fs.StringVar(&password, "etcd.password", "", "of etcd") }
		send := Command{Name: "send", Needs: NeedsEtcd, Flags: flags, Run: func(context.Context, Terminal, []string) error { return nil }}
		code := runProcess(t.Context(), process{name: "p", args: args, lookup: func(string) (string, bool) { return "", false }, stdout: &out, stderr: &out}, flags, nil, []Command{send})
		if code != 2 || !strings.Contains(out.String(), "ETCD_PASSWORD") || strings.Contains(out.String(), "s3cret") {
			t.Errorf("%v: exit code %d, %s", args, code, &out)
		}
	}
}
