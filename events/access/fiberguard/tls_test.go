package fiberguard

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"telemetry-pipeline/events/access"
)

func TestHSTSNeedsTheFlagAndTLS(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(http.NotFoundHandler()) // only its certificate is used
	defer certified.Close()
	for wanted, want := range map[bool]string{true: "max-age=31536000", false: ""} {
		a := newTestApp(t, access.Config{HSTS: wanted}, false)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			served <- a.app.Listener(tls.NewListener(ln, &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}))
		}()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+ln.Addr().String()+"/public", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := certified.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.Header.Get("Strict-Transport-Security"); got != want {
			t.Errorf("flag %t: got %q over TLS, want %q", wanted, got, want)
		}
		certified.Client().CloseIdleConnections()
		if err := errors.Join(a.app.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	}
}
