package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fastsocket "github.com/fasthttp/websocket"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"telemetry-pipeline/events/listen/listentest"
)

// answer is the body of both test servers: the protocol and the client's name, separated by a space.
func answer(state *tls.ConnectionState) string {
	switch {
	case state == nil:
		return "http -"
	case len(state.PeerCertificates) == 0:
		return "https -"
	}
	return "https " + state.PeerCertificates[0].Subject.CommonName
}

// servers are the kinds of servers that the listener has to work with; serve returns when ln is closed.
func servers() map[string]func(t *testing.T, ln net.Listener) (stop func()) {
	return map[string]func(t *testing.T, ln net.Listener) (stop func()){"net/http": serveHTTP, "fiber": serveFiber}
}

func serveHTTP(t *testing.T, ln net.Listener) (stop func()) {
	server := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, answer(r.TLS)) }),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelError),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	return func() { _ = server.Close(); <-ended }
}

func serveFiber(t *testing.T, ln net.Listener) (stop func()) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ReadTimeout: time.Minute})
	app.Server().CloseOnShutdown = true
	app.Server().MaxConnsPerIP = 1000 // wraps connections
	app.Get("/ws", websocket.New(func(c *websocket.Conn) {
		_ = c.WriteMessage(websocket.TextMessage, []byte("hello"))
	}))
	app.All("/", func(c *fiber.Ctx) error {
		text := answer(c.Context().TLSConnectionState())
		if !strings.HasPrefix(text, c.Protocol()+" ") {
			t.Errorf("the protocol is %s and the state is of %s", c.Protocol(), text)
		}
		return c.SendString(text)
	})
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(ln) }()
	return func() { _ = app.ShutdownWithTimeout(time.Second); <-ended }
}

// rig is a certificate in a directory, served by one of the servers.
type rig struct {
	t   *testing.T
	ca  *listentest.CA
	dir string
	tls *TLS
	url string
	log *bytes.Buffer // read it after Run or when Run does not log
}

// newRig serves with a certificate; configure may change the settings.
func newRig(t *testing.T, serve func(*testing.T, net.Listener) func(), configure func(*rig, *TLSConfig)) *rig {
	t.Helper()
	r := &rig{t: t, ca: listentest.NewCA(t), dir: t.TempDir(), log: &bytes.Buffer{}}
	var cfg TLSConfig
	cfg.Cert, cfg.Key = r.ca.Server(t, r.dir)
	if configure != nil {
		configure(r, &cfg)
	}
	var err error
	if r.tls, err = NewTLS(cfg, slog.New(slog.NewTextHandler(r.log, nil))); err != nil {
		t.Fatal(err)
	}
	ln := openListener(t, "", 0)
	t.Cleanup(serve(t, r.tls.Wrap(ln)))
	r.url = "https://localhost:" + strconv.Itoa(portOf(ln))
	return r
}

// client returns a client that makes a connection for each request and trusts the rig's authority.
func (r *rig) client(configure func(*tls.Config)) *http.Client {
	config := &tls.Config{RootCAs: r.ca.Pool()}
	if configure != nil {
		configure(config)
	}
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func get(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func (r *rig) mustGet(client *http.Client, want string) {
	r.t.Helper()
	if got, err := get(client, r.url); err != nil || got != want {
		r.t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// serial returns the serial number of the served certificate.
func (r *rig) serial() string {
	r.t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "https://"), &tls.Config{RootCAs: r.ca.Pool()})
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// onEachServer runs a test with each kind of server.
func onEachServer(t *testing.T, test func(t *testing.T, serve func(*testing.T, net.Listener) func())) {
	for name, serve := range servers() {
		t.Run(name, func(t *testing.T) { test(t, serve) })
	}
}

func TestServersKnowTheClient(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		clients := listentest.NewCA(t)
		r := newRig(t, serve, func(_ *rig, cfg *TLSConfig) { cfg.ClientCA = clients.File })
		r.mustGet(r.client(nil), "https -")
		r.mustGet(r.client(withCertificate(t, clients, "agent-7")), "https agent-7")
		if got, err := get(r.client(withCertificate(t, listentest.NewCA(t), "stranger")), r.url); err == nil {
			t.Errorf("a certificate of another authority: got %q, want an error", got)
		}
	})
}

func withCertificate(t *testing.T, ca *listentest.CA, cn string) func(*tls.Config) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(ca.Client(t, t.TempDir(), cn))
	if err != nil {
		t.Fatal(err)
	}
	// Without the callback the client would not send a certificate of an authority that the server does not name.
	return func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
}

func TestWebSocketsWorkOverTLS(t *testing.T) {
	r := newRig(t, serveFiber, nil)
	dialer := fastsocket.Dialer{TLSClientConfig: &tls.Config{RootCAs: r.ca.Pool()}}
	conn, _, err := dialer.Dial("wss"+strings.TrimPrefix(r.url, "https")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, text, err := conn.ReadMessage(); err != nil || string(text) != "hello" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestOldVersionsAreRefused(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		r := newRig(t, serve, nil)
		r.mustGet(r.client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "https -")
		got, err := get(r.client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), r.url)
		if err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("TLS 1.1: got %q, %v, want a refusal of the version", got, err)
		}
	})
}

func TestHTTP2IsNotOffered(t *testing.T) {
	r := newRig(t, serveHTTP, nil)
	conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "https://"), &tls.Config{RootCAs: r.ca.Pool(), NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("negotiated %q", got)
	}
}

func TestPlainHTTPIsAnswered(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		r := newRig(t, serve, nil)
		plain := "http" + strings.TrimPrefix(r.url, "https")
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS"} {
			req, err := http.NewRequest(method, plain, strings.NewReader(strings.Repeat("x", 200_000)))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.client(nil).Do(req)
			if err != nil {
				t.Errorf("%s: %v", method, err)
				continue
			}
			text, err := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "this port speaks HTTPS") {
				t.Errorf("%s: answered %s, %q, %v", method, resp.Status, text, err)
			}
			_ = resp.Body.Close()
		}
		r.mustGet(r.client(nil), "https -")
	})
}

func TestOtherBytesEndTheConnection(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		r := newRig(t, serve, nil)
		for _, bytes := range []string{"SSH-2.0-x\r\n", "\x00\x00\x00\x00\x00\x00\x00\x00", "GE"} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "https://"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, bytes)
			_ = conn.(*net.TCPConn).CloseWrite()
			if text, _ := io.ReadAll(conn); strings.Contains(string(text), "HTTP/") {
				t.Errorf("%q was answered %q", bytes, text)
			}
			_ = conn.Close()
		}
		r.mustGet(r.client(nil), "https -")
	})
}

func TestASlowHandshakeHoldsUpNobodyAndEnds(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		r := &rig{t: t, ca: listentest.NewCA(t), dir: t.TempDir()}
		cert, key := r.ca.Server(t, r.dir)
		var err error
		if r.tls, err = NewTLS(TLSConfig{Cert: cert, Key: key}, nil); err != nil {
			t.Fatal(err)
		}
		r.tls.handshakeTimeout = 500 * time.Millisecond
		ln := openListener(t, "", 0)
		t.Cleanup(serve(t, r.tls.Wrap(ln)))
		r.url = "https://localhost:" + strconv.Itoa(portOf(ln))

		began := time.Now()
		var silent []net.Conn
		for range 5 {
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write([]byte{0x16, 3, 1, 0}) // the beginning of a record
			silent = append(silent, conn)
		}
		r.mustGet(r.client(nil), "https -")
		if took := time.Since(began); took > 400*time.Millisecond {
			t.Logf("a machine under load: the request took %s", took)
		}
		for _, conn := range silent {
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the slow connection ended with %v, want that the server ends it", err)
			}
		}
	})
}

func TestBothLoopbackAddressesSpeakTLS(t *testing.T) {
	r := newRig(t, serveFiber, nil)
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		if host == "[::1]" && !hasIPv6(t) {
			continue
		}
		url := strings.Replace(r.url, "localhost", host, 1)
		if got, err := get(r.client(nil), url); err != nil || got != "https -" {
			t.Errorf("%s: got %q, %v", url, got, err)
		}
	}
}

// secret is a directory of files that is exchanged as Kubernetes does it: each file is a link through the link "..data".
type secret struct {
	dir      string
	versions int
}

func newSecret(t *testing.T, fill func(dir string)) *secret {
	t.Helper()
	s := &secret{dir: t.TempDir()}
	s.swap(t, fill)
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// swap replaces the files at once with new ones.
func (s *secret) swap(t *testing.T, fill func(dir string)) {
	t.Helper()
	s.versions++
	version := "..v" + strconv.Itoa(s.versions)
	if err := os.Mkdir(filepath.Join(s.dir, version), 0o700); err != nil {
		t.Fatal(err)
	}
	fill(filepath.Join(s.dir, version))
	fresh := filepath.Join(s.dir, "..data_tmp")
	if err := errors.Join(os.Symlink(version, fresh), os.Rename(fresh, filepath.Join(s.dir, "..data"))); err != nil {
		t.Fatal(err)
	}
}

func TestCertificatesAreExchangedUnderLoad(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		var files *secret
		r := newRig(t, serve, func(r *rig, cfg *TLSConfig) {
			files = newSecret(t, func(dir string) { r.ca.Server(t, dir) })
			cfg.Cert, cfg.Key = filepath.Join(files.dir, "tls.crt"), filepath.Join(files.dir, "tls.key")
		})
		r.tls.pollInterval = 5 * time.Millisecond
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = r.tls.Run(ctx) })
		for range 3 {
			running.Go(func() {
				client := r.client(nil)
				for ctx.Err() == nil {
					r.mustGet(client, "https -")
				}
			})
		}
		before := r.serial()
		for round := range 6 {
			files.swap(t, func(dir string) { r.ca.Server(t, dir) })
			for range 1000 {
				if after := r.serial(); after != before {
					before = after
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if served := r.tls.current.Load().leaf.SerialNumber.String(); served != before {
				t.Fatalf("round %d: %s is shown, and %s is served", round, before, served)
			}
		}
		stop()
		running.Wait()
		if n := strings.Count(r.log.String(), "serving another TLS certificate"); n != 6 {
			t.Errorf("%d exchanges are logged, want 6:\n%s", n, r.log)
		}
	})
}

func TestAnUnusablePairKeepsTheOldOne(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, ca *listentest.CA, cfg TLSConfig) error{
		"another key": func(t *testing.T, ca *listentest.CA, cfg TLSConfig) error {
			_, key := ca.Server(t, t.TempDir())
			return os.Rename(key, cfg.Key)
		},
		"no key":           func(_ *testing.T, _ *listentest.CA, cfg TLSConfig) error { return os.Remove(cfg.Key) },
		"no certificate":   func(_ *testing.T, _ *listentest.CA, cfg TLSConfig) error { return os.Remove(cfg.Cert) },
		"half a file":      func(_ *testing.T, _ *listentest.CA, cfg TLSConfig) error { return os.Truncate(cfg.Cert, 100) },
		"an empty file":    func(_ *testing.T, _ *listentest.CA, cfg TLSConfig) error { return os.Truncate(cfg.Key, 0) },
		"a client CA gone": func(_ *testing.T, _ *listentest.CA, cfg TLSConfig) error { return os.Truncate(cfg.ClientCA, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, clients := listentest.NewCA(t), listentest.NewCA(t)
				cfg := TLSConfig{ClientCA: clients.File}
				cfg.Cert, cfg.Key = ca.Server(t, t.TempDir())
				log := &bytes.Buffer{}
				served, err := NewTLS(cfg, slog.New(slog.NewTextHandler(log, nil)))
				if err != nil {
					t.Fatal(err)
				}
				old := served.current.Load()
				ctx, stop := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = served.Run(ctx) })

				if err := spoil(t, ca, cfg); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if served.current.Load() != old {
					t.Error("the certificate was exchanged")
				}
				if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "flag") {
					t.Errorf("%d warnings, want 1 that names the flag:\n%s", n, log)
				}
				if got := counted(t, served, "tls_reload_failures_total"); got != 30 {
					t.Errorf("%v failures counted in a minute, want 30", got)
				}

				ca.Server(t, filepath.Dir(cfg.Cert))
				if err := os.WriteFile(cfg.ClientCA, readFile(t, ca.File), 0o600); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if served.current.Load() == old {
					t.Error("a usable pair was not taken after a failure")
				}
				stop()
				running.Wait()
			})
		})
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// counted returns the value of a metric.
func counted(t *testing.T, served *TLS, name string) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := served.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func TestAClientCATakenAwayIsRefusedAtOnce(t *testing.T) {
	onEachServer(t, func(t *testing.T, serve func(*testing.T, net.Listener) func()) {
		first, second := listentest.NewCA(t), listentest.NewCA(t)
		r := newRig(t, serve, func(r *rig, cfg *TLSConfig) {
			cfg.ClientCA = filepath.Join(r.dir, "clients.crt")
			if err := os.WriteFile(cfg.ClientCA, readFile(t, first.File), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		remembering := func(ca *listentest.CA, cn string) *http.Client { // resumes sessions if the server lets it
			return r.client(func(c *tls.Config) {
				withCertificate(t, ca, cn)(c)
				c.ClientSessionCache = tls.NewLRUClientSessionCache(8)
			})
		}
		old, fresh := remembering(first, "old"), remembering(second, "fresh")
		r.mustGet(old, "https old")
		r.mustGet(old, "https old")
		if err := os.WriteFile(r.tls.cfg.ClientCA, readFile(t, second.File), 0o600); err != nil {
			t.Fatal(err)
		}
		r.tls.pollFiles()
		r.mustGet(fresh, "https fresh")
		if got, err := get(old, r.url); err == nil {
			t.Errorf("a client of the former authority: got %q, want an error", got)
		}
	})
}

func TestSecondsToExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg TLSConfig
		cfg.Cert, cfg.Key = listentest.NewCA(t).Server(t, t.TempDir())
		served, err := NewTLS(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(23 * time.Hour)
		if got := counted(t, served, "tls_certificate_expiry_seconds"); got != 3600 {
			t.Errorf("%v seconds an hour before the end", got)
		}
		time.Sleep(2 * time.Hour)
		if got := served.SecondsToExpiry(); got != -3600 {
			t.Errorf("%v seconds an hour after the end", got)
		}
	})
}

func TestWithoutACertificateListenersStayAsTheyAre(t *testing.T) {
	none, err := NewTLS(TLSConfig{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ln := openListener(t, "", 0)
	if none.Wrap(ln) != ln {
		t.Error("the listener is wrapped")
	}
	reg := prometheus.NewRegistry()
	if err := none.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	if families, err := reg.Gather(); err != nil || len(families) > 0 || none.SecondsToExpiry() != 0 {
		t.Errorf("metrics of no certificate: %v, %v", families, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := none.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestUnusableSettingsAreRefused(t *testing.T) {
	ca := listentest.NewCA(t)
	cert, key := ca.Server(t, t.TempDir())
	_, otherKey := ca.Server(t, t.TempDir())
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for name, tt := range map[string]struct {
		args string
		want []string
	}{
		"no key":           {"-tls.cert=" + cert, []string{"tls.key", "set both"}},
		"no certificate":   {"-tls.key=" + key, []string{"tls.cert", "set both"}},
		"only a CA":        {"-tls.client-ca=" + ca.File, []string{"tls.client-ca", "tls.cert and tls.key"}},
		"missing file":     {"-tls.cert=" + missing + " -tls.key=" + key, []string{"tls.cert", missing, "may read"}},
		"missing CA":       {"-tls.cert=" + cert + " -tls.key=" + key + " -tls.client-ca=" + missing, []string{"tls.client-ca", missing}},
		"another key":      {"-tls.cert=" + cert + " -tls.key=" + otherKey, []string{"tls.key", otherKey, "its own key"}},
		"key for a CA":     {"-tls.cert=" + cert + " -tls.key=" + key + " -tls.client-ca=" + key, []string{"tls.client-ca", key}},
		"files exchanged":  {"-tls.cert=" + key + " -tls.key=" + cert, []string{"tls.cert", key}},
		"a directory":      {"-tls.cert=" + filepath.Dir(cert) + " -tls.key=" + key, []string{"tls.cert", filepath.Dir(cert)}},
		"both are missing": {"-tls.cert=" + missing + " -tls.key=" + missing, []string{"tls.cert", missing}},
	} {
		t.Run(name, func(t *testing.T) {
			var cfg TLSConfig
			fs := flag.NewFlagSet("test", flag.ContinueOnError)
			cfg.Flags(fs)
			if err := fs.Parse(strings.Fields(tt.args)); err != nil {
				t.Fatal(err)
			}
			_, err := NewTLS(cfg, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not mention %q: %v", want, err)
				}
			}
		})
	}
}
