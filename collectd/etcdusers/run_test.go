package etcdusers_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/collectd/etcdusers"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// config returns the settings that flags parse to.
func config(t *testing.T, flags ...string) etcdusers.Config {
	t.Helper()
	var cfg etcdusers.Config
	fs := flag.NewFlagSet("access", flag.ContinueOnError)
	cfg.Flags(fs)
	if err := fs.Parse(flags); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// access runs the command and returns its output.
func access(t *testing.T, store eventlog.Config, flags ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := etcdusers.Run(t.Context(), config(t, flags...), store, &out, nil); err != nil {
		t.Fatalf("access %q: %v\n%s", flags, err, &out)
	}
	return out.String()
}

func expectLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the output lacks %q:\n%s", line, text)
		}
	}
}

func TestAccessIsIdempotentBeforeAndAfterEnabling(t *testing.T) {
	t.Parallel()
	s := newSecureEtcd(t, true)
	root := s.as("root")
	all := s.cfg.Root + "/"
	first := access(t, root, "-admin", "backup")
	expectLines(t, first, "role root: created", "role ingestd: may read and write "+all+" from now on", "role queryd: may read "+all+" from now on",
		"role queryd: may write "+snapshot.RetryRequestPrefix(s.cfg)+" from now on",
		"user root: created, without password, for a certificate with this common name", "user backup: has role root from now on",
		"user collectd: has role collectd from now on")
	if !strings.Contains(first, "authentication: is NOT enabled") {
		t.Errorf("the output does not say that authentication is not enabled:\n%s", first)
	}
	again := access(t, root, "-admin", "backup")
	expectLines(t, again, "role ingestd: found", "user queryd: found", "user queryd: has role queryd", "nothing was changed")

	expectLines(t, access(t, root, "-enable"), "authentication: is enabled from now on")
	for _, admin := range []string{"root", "backup"} {
		after := access(t, s.as(admin), "-enable")
		expectLines(t, after, "user root: found", "authentication: is enabled", "nothing was changed")
	}
	expectLines(t, access(t, root, "-queryd", "queryd,dashboards"), "user dashboards: has role queryd from now on")

	err := etcdusers.Run(t.Context(), config(t), s.as("collectd"), io.Discard, nil)
	if !errors.Is(err, rpctypes.ErrPermissionDenied) || !strings.Contains(err.Error(), `user "collectd"`) {
		t.Errorf("without the rights of root: got %v", err)
	}
}

func TestAccessShowsTheRightsOfOthers(t *testing.T) {
	t.Parallel()
	s := newSecureEtcd(t, true)
	root := s.as("root")
	client := s.dial(root)
	if _, err := client.RoleAdd(t.Context(), "queryd"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RoleGrantPermission(t.Context(), "queryd", "/other/", "/other0", clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
		t.Fatal(err)
	}
	expectLines(t, access(t, root), "role queryd: found", `role queryd: also has permission READWRITE from key "/other/" to "/other0"; it stays`)
}

// A password of root is for people without certificate; it is in no output.
func TestRootWithPassword(t *testing.T) {
	t.Parallel()
	s := newSecureEtcd(t, true)
	file := s.file("password")
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := access(t, s.as("root"), "-root-password-file", file, "-enable")
	expectLines(t, out, "user root: created, with the password of the file")
	out += access(t, s.as("root"), "-root-password-file", file)
	if strings.Contains(out, "sesame") {
		t.Errorf("the output shows the password:\n%s", out)
	}
	byPassword := s.as("person")
	byPassword.Username, byPassword.Password = "root", "open sesame"
	expectLines(t, access(t, byPassword), "nothing was changed")
}

func TestEnableRefusesToLockEverybodyOut(t *testing.T) {
	t.Parallel()
	s, open := newSecureEtcd(t, true), newSecureEtcd(t, false)
	for name, c := range map[string]struct {
		store eventlog.Config
		want  string
	}{
		"as a daemon":             {s.as("collectd"), "no administrator"},
		"unverified certificates": {open.as("root"), "--client-cert-auth"},
	} {
		err := etcdusers.Run(t.Context(), config(t, "-enable"), c.store, io.Discard, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one that says %q", name, err, c.want)
		}
		status, err := s.dial(c.store).AuthStatus(t.Context())
		if err != nil || status.Enabled {
			t.Errorf("%s: got enabled %v, %v", name, status, err)
		}
	}
}

func TestNamesOfUsers(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"-queryd", " ,", "names no user"},
		{"-queryd", "ingestd", `user "ingestd" is named for ingestd and for queryd`},
		{"-collectd", "root", "a certificate of its own"},
	} {
		err := etcdusers.Run(t.Context(), config(t, c.flag, c.value), eventlog.Config{}, io.Discard, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %q: got error %v, want one that says %q", c.flag, c.value, err, c.want)
		}
	}
}

// A daemon that etcd refuses says as which user, what it lacks, and the cure.
func TestRefusedDaemonsNameTheUserAndTheCure(t *testing.T) {
	t.Parallel()
	s := newSecureEtcd(t, true)
	access(t, s.as("root"), "-enable")
	without := s.cfg
	key := s.cfg.Key("config")
	for name, c := range map[string]struct {
		store eventlog.Config
		want  []string
	}{
		"unknown user":           {s.as("mallory"), []string{key, `user "mallory"`, "mallory.pem", "collectd access", "permission denied"}},
		"a reader of a new log":  {s.as("queryd"), []string{key, `user "queryd"`, "creating them failed", "collectd access"}},
		"without certificate":    {without, []string{"client certificate", "etcd.cert"}},
		"with a wrong password":  {func() eventlog.Config { c := s.as("queryd"); c.Username, c.Password = "x", "y"; return c }(), []string{`user "x"`, "collectd access"}},
		"certificate of another": {func() eventlog.Config { c := s.as("queryd"); c.CAFile = s.file("queryd.pem"); return c }(), []string{"certificate"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.store.DialTimeout = time.Second
			log, err := eventlog.Open(t.Context(), c.store, nil)
			if err == nil {
				log.Close()
				t.Fatal("opened")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}
