package accessmatrix

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events/access"
)

const subscription = `{"type":"subscribe","id":"1","payload":{"query":"subscription{gpuMetrics{snapshot gpus{id host metrics}}}"}}`

// subscribe opens both kinds of subscriptions as a principal and reads the first readings.
func (s *stack) subscribe(p *principal) (live, graphql *socket) {
	s.Helper()
	if live = s.logIn(p, liveProtocol, "header", 0, p.name); live == nil {
		s.Fatalf("%s cannot open a socket", p.name)
	}
	live.send(`{"op":"sub","id":"a","hz":20}`)
	live.until(p.name, `"t":"synced"`)
	if graphql = s.logIn(p, graphqlProtocol, "message", 0, p.name); graphql == nil {
		s.Fatalf("%s cannot open a socket", p.name)
	}
	graphql.send(subscription)
	graphql.until(p.name, `"type":"next"`)
	return live, graphql
}

func TestPushesOfForeignHostsAreNotSeen(t *testing.T) {
	t.Parallel()
	s := startStandalone(t)
	live, graphql := s.subscribe(s.named("read-own"))
	all, _ := s.subscribe(s.named("read-whole"))
	live.until("settling", `"t":"hb"`)
	for i := range 3 {
		var foreign telemetry
		foreign.WriteString(csvHeader)
		at := s.now.Add(time.Duration(i+1) * time.Second)
		foreign.addForeign(at, foreignHost, 0, foreignUUID)
		foreign.addForeign(at, foreignHost, 1, sharedUUID)
		foreign.addForeign(at, fmt.Sprintf("foreign-new-%d", i), 0, fmt.Sprintf("GPU-f0000000-0000-0000-0000-00000000001%d", i))
		s.mustUpload(s.named("ingest-whole"), foreign.Bytes())
		all.until("read-whole", fmt.Sprintf(`"t":"upd".*foreign-new-%d`, i))
		for range 3 { // the first heartbeat may be of before
			if frames := live.until("heartbeat", `"t":"hb"`); len(frames) > 1 {
				t.Errorf("the upload of foreign hosts led to %.1000q", frames[:len(frames)-1])
			}
		}
		if len(graphql.frames) > 0 {
			t.Errorf("the upload of foreign hosts led to %.1000s", <-graphql.frames)
		}
	}
	s.mustUpload(s.named("ingest-own"), oneReading(s.now.Add(time.Minute), ownHost, 77))
	for _, frames := range [][]string{live.until("own reading", `"t":"upd"`), graphql.until("own reading", `"type":"next"|"next"`)} {
		if text := strings.Join(frames, "\n"); !strings.Contains(text, "77") || foreignWordIn(text) != "" {
			t.Errorf("got %.1000s, want the own reading alone", text)
		}
	}
	s.checkSecrets()
}

// mustUpload uploads a file whose rows are all taken, and waits until they are visible.
func (s *stack) mustUpload(p *principal, content []byte) {
	s.Helper()
	if status, text := s.upload(p, "?wait=true", content); status != http.StatusOK || !strings.Contains(text, `"rejected":0`) {
		s.Fatalf("%s: upload: %d %s", p.name, status, text)
	}
}

func TestRevocationEndsSockets(t *testing.T) {
	t.Parallel()
	s := startStandalone(t)
	end := time.Now().Add(7 * time.Second).Truncate(time.Second)
	leaver, changed := s.newToken("leaver", access.RoleRead, own, time.Time{}), s.newToken("changed", access.RoleRead, own, time.Time{})
	degraded, expiring := s.newToken("degraded", access.RoleRead, own, time.Time{}), s.newToken("expiring", access.RoleRead, own, end)
	s.addIssuer("oidc-expiring", map[string]any{"sub": "erin", "telemetry_roles": []string{"read"}, "telemetry_scope": own, "exp": end.Unix()}, true, access.RoleRead, own)
	expiringOIDC := s.named("oidc-expiring")
	s.writeFile()
	eventually(t, "the new principals", func() (bool, string) {
		status, text := get(t, s.client(leaver), s.queries+"/api/v1/gpus")
		return status == http.StatusOK, text
	})
	sockets := map[*principal][]*socket{}
	for _, p := range []*principal{leaver, changed, degraded, expiring, expiringOIDC, s.named("read-own")} {
		live, graphql := s.subscribe(p)
		sockets[p] = []*socket{live, graphql}
	}
	delete(s.lines, leaver.name)
	renew := func(p *principal, from, to string) { s.lines[p.name] = strings.Replace(s.lines[p.name], from, to, 1) }
	renew(changed, own, "host=own-2")
	renew(degraded, `"read"`, `"ingest"`)
	s.writeFile()
	written := time.Now()
	for _, p := range []*principal{leaver, changed, degraded} {
		for _, w := range sockets[p] {
			w.expectClose(p.name, closeUnauthorized)
		}
	}
	if took := time.Since(written); took > 5*time.Second {
		t.Errorf("sockets of revoked principals were closed after %s, want 5 s at most", took)
	}
	for _, p := range []*principal{expiring, expiringOIDC} {
		for _, w := range sockets[p] {
			w.expectClose(p.name, closeUnauthorized)
		}
	}
	if late := time.Since(end); late < -time.Second || late > 5*time.Second {
		t.Errorf("sockets of expired principals were closed %s after the end of their tokens, want 0 to 5 s", late)
	}
	live, graphql := sockets[s.named("read-own")][0], sockets[s.named("read-own")][1]
	live.send(`{"op":"ping"}`)
	live.until("a principal that stays", `"t":"pong"`)
	graphql.send(`{"type":"ping"}`)
	graphql.until("a principal that stays", `"type":"pong"`)
	for p, want := range map[*principal]int{leaver: 401, changed: 200, degraded: 403, expiring: 401, expiringOIDC: 401} {
		if status, text := get(t, s.client(p), s.queries+"/api/v1/hosts"); status != want || p == changed && (strings.Contains(text, ownHost) || !strings.Contains(text, "own-2")) {
			t.Errorf("%s: got %d %.300s, want %d", p.name, status, text, want)
		}
	}
	s.checkSecrets()
}
