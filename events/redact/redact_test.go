package redact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestKeysThatNameASecret(t *testing.T) {
	for _, key := range []string{
		"token", "Token", "TOKEN", "tokens", "access_token", "accessToken", "upload-token", "etcd.token", "authtoken", "X-Auth-Token",
		"authorization", "Authorization", "Proxy-Authorization", "authorization_header", "bearer", "jwt",
		"password", "ETCD_PASSWORD", "etcd.password", "passwords", "passwd", "pwd", "passphrase", "secret", "clientSecret", "client_secret", "secrets",
		"cookie", "Cookie", "Set-Cookie", "cookies", "credential", "credentials", "sessionID", "session_id",
		"apiKey", "api_key", "APIKEY", "X-Api-Key", "access_key", "secret_access_key", "private_key", "privatekey", "signing-key", "key_material",
		strings.Repeat("very_long_", 20) + "token",
	} {
		if !IsSecretKey(key) {
			t.Errorf("%q is not taken for the key of a secret", key)
		}
	}
}

// Keys that occur in this project, or might, and are no secrets.
func TestHarmlessKeysStayReadable(t *testing.T) {
	for _, key := range []string{
		"", "key", "Key", "keys", "partition_key", "event_key", "etcd.key", "tls.key", "id", "upload", "request_id", "trace_id", "member", "principal",
		"token_file", "token-file", "password_set", "secret_name", "cookie_name", "tokenized", "secretary", "authority", "author", "keyspace",
		"monkey", "hotkey", "Sec-WebSocket-Key", "primary_key", "value", "text", "header", "cause", "err", "material", "endpoints", "…", "_", "-",
	} {
		if IsSecretKey(key) {
			t.Errorf("%q is taken for the key of a secret", key)
		}
	}
}

type login struct{ name, password string }

func (l login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", l.name), slog.String("password", l.password))
}

type endlessValue struct{}

func (endlessValue) LogValue() slog.Value { return slog.AnyValue(endlessValue{}) }

const secret = "s3cret"

// logs returns the output of both handlers of the standard library for a log.
func logs(do func(lg *slog.Logger)) string {
	var out bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	for _, next := range []slog.Handler{slog.NewJSONHandler(&out, options), slog.NewTextHandler(&out, options)} {
		do(slog.New(NewHandler(next)))
	}
	return out.String()
}

func TestSecretsAreLeftOut(t *testing.T) {
	address := "https://user:" + secret + "@example.com/path"
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(lg *slog.Logger){
		"attribute":     func(lg *slog.Logger) { lg.Info("m", "token", secret) },
		"debug":         func(lg *slog.Logger) { lg.Debug("m", slog.String("password", secret)) },
		"with":          func(lg *slog.Logger) { lg.With("cookie", secret).Info("m") },
		"group":         func(lg *slog.Logger) { lg.Info("m", slog.Group("a", slog.Group("b", slog.String("token", secret)))) },
		"secret group":  func(lg *slog.Logger) { lg.Info("m", slog.Group("credentials", slog.String("user", secret))) },
		"with group":    func(lg *slog.Logger) { lg.WithGroup("a").With("token", secret).Info("m", "secret", secret) },
		"in with group": func(lg *slog.Logger) { lg.WithGroup("secret").With("a", secret).WithGroup("b").Info("m", "c", secret) },
		"log valuer":    func(lg *slog.Logger) { lg.Info("m", "login", login{"me", secret}) },
		"with valuer":   func(lg *slog.Logger) { lg.With("login", login{"me", secret}).Info("m") },
		"map":           func(lg *slog.Logger) { lg.Info("m", "settings", map[string]string{"password": secret, "user": "me"}) },
		"nested map":    func(lg *slog.Logger) { lg.Info("m", "a", map[string]any{"b": map[string]any{"token": secret}}) },
		"map in slice":  func(lg *slog.Logger) { lg.Info("m", "a", []any{map[string]any{"token": secret}}) },
		"maps in slice": func(lg *slog.Logger) { lg.Info("m", "a", []map[string]string{{"token": secret}}) },
		"header": func(lg *slog.Logger) {
			lg.Info("m", "header", http.Header{"Authorization": {"Bearer " + secret}, "Accept": {"*/*"}})
		},
		"slice":          func(lg *slog.Logger) { lg.Info("m", "tokens", []string{secret}) },
		"URL in text":    func(lg *slog.Logger) { lg.Info("m", "endpoint", "dialing "+address+", and "+address) },
		"URL in slice":   func(lg *slog.Logger) { lg.Info("m", "endpoints", []string{address}) },
		"URL in error":   func(lg *slog.Logger) { lg.Info("m", "err", fmt.Errorf("fetching: %w", errors.New("Get "+address))) },
		"URL in message": func(lg *slog.Logger) { lg.Info("dialing " + address) },
		"token as user":  func(lg *slog.Logger) { lg.Info("m", "a", "s3://"+secret+"@bucket") },
		"URL":            func(lg *slog.Logger) { lg.Info("m", "a", parsed, "b", *parsed) },
		"private key":    func(lg *slog.Logger) { lg.Info("m", "a", "-----BEGIN EC PRIVATE KEY-----\n"+secret+"…") },
		"age key":        func(lg *slog.Logger) { lg.Info("m", "identity", "AGE-SECRET-KEY-1"+strings.Repeat(secret, 8)) },
	} {
		if got := logs(do); strings.Contains(got, secret) || strings.Count(got, Hidden) < 2 {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestOtherValuesStay(t *testing.T) {
	for want, do := range map[string]func(lg *slog.Logger){
		`"key":"/telemetry/queue/c/0/a","partition_key":7`: func(lg *slog.Logger) { lg.Info("m", "key", "/telemetry/queue/c/0/a", "partition_key", 7) },
		`"token":9007199254740993,"password":true`:         func(lg *slog.Logger) { lg.Info("m", "token", int64(9007199254740993), "password", true) },
		`"token":60000000000`:                              func(lg *slog.Logger) { lg.Info("m", slog.String("x", "y"), "token", time.Minute) },
		`"header":{"Accept":["*/*"]}`:                      func(lg *slog.Logger) { lg.Info("m", "header", http.Header{"Accept": {"*/*"}}) },
		`"a":{"b":{"key":"k"}}`:                            func(lg *slog.Logger) { lg.Info("m", slog.Group("a", slog.Group("b", "key", "k"))) },
		`"login":{"name":"me","password":"(left out)"}`:    func(lg *slog.Logger) { lg.Info("m", "login", login{"me", secret}) },
		`"a":"see https://example.com/@user and a@b"`:      func(lg *slog.Logger) { lg.Info("m", "a", "see https://example.com/@user and a@b") },
		`"a":"https://(left out)@example.com:2379/x"`:      func(lg *slog.Logger) { lg.Info("m", "a", "https://u:p@example.com:2379/x") },
		`"a":["x","y"],"b":[1,2],"c":null`:                 func(lg *slog.Logger) { lg.Info("m", "a", []string{"x", "y"}, "b", []int{1, 2}, "c", nil) },
		`"err":"broken"`:                                   func(lg *slog.Logger) { lg.Info("m", "err", errors.New("broken")) },
		`"a":{"1":"x"}`:                                    func(lg *slog.Logger) { lg.Info("m", "a", map[int]string{1: "x"}) },
	} {
		if got := logs(do); !strings.Contains(got, want) {
			t.Errorf("want %s, got\n%s", want, got)
		}
	}
}

// Values that recurse without end, or that panic, are logged in some way.
func TestOddValuesAreLogged(t *testing.T) {
	endless := map[string]any{}
	endless["a"] = endless
	var broken *url.Error
	got := logs(func(lg *slog.Logger) { lg.Info("odd", "map", endless, "valuer", endlessValue{}, "err", broken) })
	if strings.Count(got, "odd") != 2 {
		t.Errorf("got %s", got)
	}
}

func TestOrdinaryRecordsAllocateNothing(t *testing.T) {
	h := NewHandler(slog.NewJSONHandler(io.Discard, nil))
	record := ordinaryRecord()
	plain := slog.NewJSONHandler(io.Discard, nil)
	want := testing.AllocsPerRun(100, func() { _ = plain.Handle(t.Context(), record) })
	if got := testing.AllocsPerRun(100, func() { _ = h.Handle(t.Context(), record) }); got > want {
		t.Errorf("%v allocations a record, without redaction %v", got, want)
	}
}

func ordinaryRecord() slog.Record {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "upload", 0)
	r.AddAttrs(slog.String("upload", "88fc6a92-b8a7-48c3-8e23-60294bf2f5bf"), slog.Int("status", 200), slog.String("dialect", "dcgm-long"), slog.Int64("bytes", 129858),
		slog.Duration("took", time.Second), slog.String("key", "/telemetry/events/default-cluster/0/host/1"), slog.Any("err", errors.New("not found")))
	return r
}

func BenchmarkHandle(b *testing.B) {
	record := ordinaryRecord()
	for name, h := range map[string]slog.Handler{"plain": slog.NewJSONHandler(io.Discard, nil), "redacted": NewHandler(slog.NewJSONHandler(io.Discard, nil))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = h.Handle(b.Context(), record)
			}
		})
	}
}
