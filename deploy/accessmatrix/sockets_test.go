package accessmatrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/events/access"
)

// The protocols of WebSockets.
const (
	liveProtocol    = "gpu.live.v1"
	graphqlProtocol = "graphql-transport-ws"
)

// The close codes of refusals.
const (
	closeUnauthorized = 4401
	closeForbidden    = 4403
)

// socket is a WebSocket of a client.
type socket struct {
	*testing.T
	conn   *websocket.Conn
	frames chan string
	closed chan struct{} // after it, code is set
	code   int
}

// dial opens a WebSocket as a principal, whose token the request shows only if asked for. It returns the status of a refusal.
func (s *stack) dial(p *principal, path, protocol string, showToken bool) (*socket, int) {
	s.Helper()
	header := http.Header{}
	if showToken && p.token != "" {
		header.Set("Authorization", "Bearer "+p.token)
	}
	dialer := websocket.Dialer{TLSClientConfig: s.tls(p), Subprotocols: []string{protocol}, HandshakeTimeout: patience}
	conn, resp, err := dialer.DialContext(s.T.Context(), "wss"+strings.TrimPrefix(s.queries, "https")+path, header)
	if err != nil {
		if resp == nil {
			s.Fatalf("%s: opening %s: %v", p.name, path, err)
		}
		defer resp.Body.Close()
		return nil, resp.StatusCode
	}
	w := &socket{T: s.T, conn: conn, frames: make(chan string, 10_000), closed: make(chan struct{})}
	go w.read()
	s.T.Cleanup(func() { conn.Close() })
	return w, http.StatusSwitchingProtocols
}

func (w *socket) read() {
	defer close(w.closed)
	for {
		_, text, err := w.conn.ReadMessage()
		if err != nil {
			if end, ok := errors.AsType[*websocket.CloseError](err); ok {
				w.code = end.Code
			}
			return
		}
		w.frames <- string(text)
	}
}

func (w *socket) send(message string) {
	w.Helper()
	if err := w.conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		w.Errorf("sending %.100s: %v", message, err)
	}
}

// expectClose waits for the end of the connection.
func (w *socket) expectClose(what string, code int) {
	w.Helper()
	select {
	case <-w.closed:
	case <-time.After(patience / 3):
		w.Errorf("%s: the connection is still open, want close code %d", what, code)
		return
	}
	if w.code != code {
		w.Errorf("%s: got close code %d, want %d", what, w.code, code)
	}
	for len(w.frames) > 0 {
		if text := <-w.frames; foreignWordIn(text) != "" {
			w.Errorf("%s: got %s before the close", what, text)
		}
	}
}

// until reads frames up to the first that matches.
func (w *socket) until(what, pattern string) (frames []string) {
	w.Helper()
	matches := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		select {
		case text := <-w.frames:
			if frames = append(frames, text); matches.MatchString(text) {
				return frames
			}
		case <-w.closed:
			if len(w.frames) > 0 {
				continue
			}
			w.Fatalf("%s: closed with %d before %s; got %.1000q", what, w.code, pattern, frames)
		case <-deadline:
			w.Fatalf("%s: no %s; got %.1000q", what, pattern, frames)
		}
	}
}

// closeCode returns the close code for the status of a refusal.
func closeCode(status int) int {
	if status == http.StatusUnauthorized {
		return closeUnauthorized
	}
	return closeForbidden
}

// liveOperations are the operations of the live protocol; HOST and GPU stand in them as in routes.
func liveOperations() map[string][]string {
	return map[string][]string{
		"auth": {`{"op":"auth","token":"TOKEN"}`},
		"sub": {
			`{"op":"sub","id":"a"}`, `{"op":"sub","id":"a","mode":"events"}`, `{"op":"sub","id":"a","filter":{"host":["HOST"]}}`, `{"op":"sub","id":"a","filter":{"gpu":["GPU"]}}`,
			`{"op":"sub","id":"a","filter":{"gpu":["HOST:0"]}}`, `{"op":"sub","id":"a","filter":{"gpu":["` + sharedUUID + `"]}}`, `{"op":"sub","id":"a","filter":{"metric":["` + foreignMetric + `"]}}`,
			`{"op":"sub","id":"a","hz":20}`,
		},
		"unsub": {`{"op":"unsub","id":"a"}`},
		"ping":  {`{"op":"ping"}`},
	}
}

// graphqlMessages are the messages of clients of the GraphQL protocol, without those that carry operations.
func graphqlMessages() map[string]string {
	return map[string]string{
		"connection_init": `{"type":"connection_init"}`,
		"ping":            `{"type":"ping"}`,
		"pong":            `{"type":"pong"}`,
		"subscribe":       `{"type":"subscribe","id":"1","payload":{"query":"{hosts{name}}"}}`,
		"complete":        `{"type":"complete","id":"1"}`,
	}
}

// checkSocketTables checks that the tables have every message that the server's code handles.
func (s *stack) checkSocketTables() {
	for file, known := range map[string]func(string) bool{
		"live.go":    func(name string) bool { _, ok := liveOperations()[name]; return ok },
		"graphql.go": func(name string) bool { _, ok := graphqlMessages()[name]; return ok },
	} {
		text, err := os.ReadFile("../../queryd/socket/" + file)
		if err != nil {
			s.Fatal(err)
		}
		found := regexp.MustCompile(`(?m)^\tcase "(\w+)":|req\.Op == "(\w+)"`).FindAllStringSubmatch(string(text), -1)
		if len(found) < 3 {
			s.Errorf("%s handles messages in a form that this test does not know", file)
		}
		for _, m := range found {
			if name := m[1] + m[2]; !known(name) {
				s.Errorf("%s handles the message %s, which the table of this test does not know: add it", file, name)
			}
		}
	}
}

// walkSockets opens both kinds of WebSockets as every principal, in each way to log in, and sends every message.
func (s *stack) walkSockets() {
	s.checkSocketTables()
	s.checkUnknownCallers()
	all := s.introspect()
	mine, foreign, missing := s.findSubjects()
	for _, p := range s.principals {
		refused := p.refusal(access.Read)
		for _, protocol := range []string{liveProtocol, graphqlProtocol} {
			for _, way := range []string{"header", "message"} {
				what := fmt.Sprintf("%s: %s with the token in the %s", p.name, protocol, way)
				w := s.logIn(p, protocol, way, refused, what)
				if w == nil {
					continue
				}
				subjects := [3]subject{mine, foreign, missing}
				if protocol == liveProtocol {
					s.walkLive(w, p, what, subjects)
				} else {
					s.walkGraphQLSocket(w, p, what, &all, subjects)
				}
				w.conn.Close()
			}
		}
	}
}

// checkUnknownCallers sends every message before a login.
func (s *stack) checkUnknownCallers() {
	for name, messages := range liveOperations() {
		if name == "auth" {
			messages = []string{`{"op":"auth"}`, `{"op":"auth","token":""}`, `{"op":"auth","token":"nonsense"}`}
		}
		for _, message := range messages {
			w, _ := s.dial(s.named("nobody"), "/ws", liveProtocol, true)
			w.send(message)
			w.expectClose("nobody sends "+message, closeUnauthorized)
		}
	}
	for name, message := range graphqlMessages() {
		w, _ := s.dial(s.named("nobody"), "/graphql", graphqlProtocol, true)
		w.send(message)
		if name == "ping" {
			w.until("ping of nobody", `"pong"`) // the protocol lets either side ping at any time
			w.send(graphqlMessages()["subscribe"])
		}
		if name == "pong" || name == "complete" {
			w.send(graphqlMessages()["subscribe"])
		}
		w.expectClose("nobody sends "+message, closeUnauthorized)
	}
}

// socketPath returns the route of a protocol.
func socketPath(protocol string) string {
	if protocol == liveProtocol {
		return "/ws"
	}
	return "/graphql"
}

// logIn opens a socket and logs in. It returns nil if that is refused, as it must be, or if the way is none of the principal's.
func (s *stack) logIn(p *principal, protocol, way string, refused int, what string) *socket {
	s.Helper()
	if p.token == "" && (p.cert == nil || way == "message") {
		return nil
	}
	w, status := s.dial(p, socketPath(protocol), protocol, way == "header")
	switch {
	case way == "header" && refused != 0:
		if status != refused {
			s.Errorf("%s: got status %d, want %d", what, status, refused)
		}
		return nil
	case w == nil:
		s.Errorf("%s: got status %d, want it open", what, status)
		return nil
	}
	switch {
	case protocol == graphqlProtocol && way == "header":
		w.send(`{"type":"connection_init"}`)
	case protocol == graphqlProtocol && len(p.name)%2 == 0:
		w.send(`{"type":"connection_init","payload":{"token":"` + p.token + `"}}`)
	case protocol == graphqlProtocol:
		w.send(`{"type":"connection_init","payload":{"authorization":"Bearer ` + p.token + `"}}`)
	case way == "message":
		w.send(`{"op":"auth","token":"` + p.token + `"}`)
	}
	if refused != 0 {
		w.expectClose(what, closeCode(refused))
		return nil
	}
	w.until(what, `"t":"hello"|connection_ack`)
	return w
}

// framesText returns frames in a form that is equal for equal frames.
func (of subject) framesText(frames []string) string {
	kept := slices.DeleteFunc(slices.Clone(frames), func(frame string) bool { return strings.Contains(frame, `"t":"hb"`) })
	return of.blank(regexp.MustCompile(`"(rev|folded|ts|asOf|token|nextCursor|id)":("[^"]*"|[0-9]+)`).ReplaceAllString(strings.Join(kept, "\n"), ""))
}

// walkLive sends the operations of the live protocol about own, foreign and missing things.
func (s *stack) walkLive(w *socket, p *principal, what string, subjects [3]subject) {
	w.send(`{"op":"ping"}`)
	w.until(what, `"t":"pong"`)
	for _, message := range p.some(liveOperations()["sub"]) {
		var texts [3]string
		for i, of := range subjects {
			w.send(s.in(message, of))
			frames := w.until(what, `"t":"synced"`)
			w.send(`{"op":"unsub","id":"a"}`)
			w.send(`{"op":"ping"}`)
			frames = append(frames, w.until(what, `"t":"pong"`)...)
			texts[i] = of.framesText(frames)
			if i == 0 && !strings.Contains(texts[0], "own") && !strings.Contains(message, foreignMetric) && !strings.Contains(message, "GPU") && !strings.Contains(message, "HOST") {
				s.Errorf("%s: %s: got %.500s, want own readings", what, message, texts[0])
			}
		}
		s.checkTexts(p, what+": "+message, texts, strings.Contains(message, "HOST") || strings.Contains(message, `"GPU"`))
	}
}

// checkTexts checks the texts that a principal received about own, foreign and missing things.
func (s *stack) checkTexts(p *principal, what string, texts [3]string, about bool) {
	s.Helper()
	if p.seesAll() {
		if about && foreignWordIn(texts[1]) == "" && !strings.Contains(texts[1], "31337") {
			s.Errorf("%s: got %.500s about a foreign host, want it shown", what, texts[1])
		}
		return
	}
	for _, text := range texts {
		if word := foreignWordIn(text); word != "" {
			s.Errorf("%s: %q of a foreign host is in %.1000s", what, word, text)
		}
	}
	if texts[1] != texts[2] {
		s.Errorf("%s: the frames about foreign and missing things differ:\n%.1000s\n%.1000s", what, texts[1], texts[2])
	}
}

// walkGraphQLSocket sends queries and subscriptions over the GraphQL protocol.
func (s *stack) walkGraphQLSocket(w *socket, p *principal, what string, all *schema, subjects [3]subject) {
	subscriptions := all.operations("subscription", "Subscription", subscriptionFields())
	operations := append(subscriptions, slices.DeleteFunc(all.operations("query", "Query", queryFields()), func(q string) bool { return strings.Contains(q, "CURSOR") })...)
	id := 0
	for _, operation := range p.some(operations) {
		var texts [3]string
		for i, of := range subjects {
			id++
			text, err := json.Marshal(map[string]any{"type": "subscribe", "id": fmt.Sprint(id), "payload": json.RawMessage(operationJSON(s.inOperation(operation, of)))})
			if err != nil {
				s.Fatal(err)
			}
			w.send(string(text))
			// A subscription that nothing matches says nothing: the answer to a ping behind it comes all the same.
			frames := w.until(what, fmt.Sprintf(`"id":"%d","type":"(next|error)"|"type":"(next|error)","id":"%d"`, id, id))
			w.send(fmt.Sprintf(`{"type":"complete","id":"%d"}`, id))
			w.send(`{"type":"ping"}`)
			frames = append(frames, w.until(what, `"type":"pong"`)...)
			frames = slices.DeleteFunc(frames, func(f string) bool { return strings.Contains(f, `"complete"`) || strings.Contains(f, `"pong"`) })
			texts[i] = changing.ReplaceAllString(of.framesText(frames), "")
			if strings.Contains(texts[i], `"errors"`) || strings.Contains(texts[i], `"type":"error"`) {
				s.Errorf("%s: %.100s: got %.500s, want no error", what, operation, texts[i])
			}
		}
		s.checkTexts(p, fmt.Sprintf("%s: %.100s", what, operation), texts, regexp.MustCompile(`^\w*\{\w+\([^)]*(HOST|GPU")`).MatchString(operation))
	}
}
