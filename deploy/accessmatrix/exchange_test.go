package accessmatrix

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
)

// load is clients that upload and query until they are stopped. Each request is on a connection of its own, so that certificates
// and credentials count for each.
type load struct {
	s       *stack
	cancel  context.CancelFunc
	running sync.WaitGroup
	done    atomic.Int64
}

// startLoad starts a client of each principal. Every answer must be 200.
func (s *stack) startLoad(principals ...*principal) *load {
	ctx, cancel := context.WithCancel(s.T.Context())
	l := &load{s: s, cancel: cancel}
	s.T.Cleanup(l.stop)
	for i, p := range principals {
		client := s.client(p)
		client.Transport.(*bearer).RoundTripper.(*http.Transport).DisableKeepAlives = true
		l.running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.request(client, p, n, i)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	return l
}

func (l *load) request(client *http.Client, p *principal, n, i int) {
	method, address, content := http.MethodGet, l.s.queries+"/api/v1/gpus", []byte(nil)
	if n%4 == 3 && p.refusal(access.Ingest) == 0 {
		method, address = http.MethodPost, l.s.uploads+"/api/v1/csv/upload/export.csv"
		content = oneReading(l.s.now.Add(-time.Hour+time.Duration(i*1000+n)*time.Second), ownHost, n)
	}
	if a, err := tryAsk(l.s.T.Context(), client, method, address, "text/csv", content); err != nil || a.status != http.StatusOK {
		l.s.Errorf("%s: request %d under load: %s %s: %v %v", p.name, n, method, address, a, err)
	}
	l.done.Add(1)
}

// stop ends the clients after their requests.
func (l *load) stop() {
	l.cancel()
	l.running.Wait()
}

// goOn waits until some more requests were answered.
func (l *load) goOn(requests int64) {
	l.s.Helper()
	before := l.done.Load()
	eventually(l.s.T, "requests under load", func() (bool, string) { return l.done.Load() >= before+requests, "" })
}

func TestExchangeUnderLoad(t *testing.T) {
	t.Parallel()
	s := startStandalone(t)
	l := s.startLoad(s.named("admin-own"), s.named("read-own"), s.named("oidc-own"), s.named("certificate-own"))
	live, _ := s.subscribe(s.named("read-own"))
	l.goOn(20)

	serial := s.serverSerial()
	s.writeCertificates("certs-2")
	added := s.newToken("added", access.RoleRead, own, time.Time{})
	s.writeFile()
	s.issuer.Rotate() // the new key is published and signs
	next := &principal{name: "oidc-next", token: s.issuer.Token(map[string]any{"sub": "alice", "telemetry_roles": []string{"read"}, "telemetry_scope": own})}
	s.secrets = append(s.secrets, next.token)
	if status, text := get(t, s.client(next), s.queries+"/api/v1/gpus"); status != http.StatusOK {
		t.Errorf("a token of the new key: got %d %s", status, text)
	}
	eventually(t, "the new certificate", func() (bool, string) { now := s.serverSerial(); return now != serial, now })
	eventually(t, "the new principal", func() (bool, string) {
		status, text := get(t, s.client(added), s.queries+"/api/v1/gpus")
		return status == http.StatusOK, text
	})
	l.goOn(20)
	l.stop()
	if l.done.Load() < 40 {
		t.Errorf("%d requests were sent, want more", l.done.Load())
	}
	live.send(`{"op":"ping"}`)
	live.until("the socket that was open all the time", `"t":"pong"`)
	s.checkSecrets()
}

// serverSerial returns the serial number of the certificate that queryd shows to a new client.
func (s *stack) serverSerial() string {
	s.Helper()
	client := s.client(s.named("nobody"))
	req, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, s.queries+"/health", nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	resp.Body.Close()
	return resp.TLS.PeerCertificates[0].SerialNumber.String()
}
