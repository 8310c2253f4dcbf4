package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/events/wait"
)

// subscriber follows the live view over WebSocket, and resumes by its last token whenever the connection ends.
type subscriber struct {
	name  string
	mode  string
	bases []string // it goes to another one each time
	sec   *secrets

	mu      sync.Mutex
	steps   []step
	last    int64 // the newest revision received
	tries   int
	dials   int // tries that gave a connection
	resumed int
}

// step is one message of a subscription.
type step struct {
	conn    int    // how many connections there were before
	kind    string // hello, ack, reset, snap, synced, upd, hb
	rev     int64  // 0: names no position
	part    int
	resumed bool
	cells   []cellValue
	removed []string // GPUs
}

type cellValue struct {
	cell
	value string
}

// quietLimit ends a connection on which nothing comes; heartbeats come every second.
const quietLimit = 5 * time.Second

func newSubscribers(c *cluster) []*subscriber {
	bases := c.baseURLs("queryd")
	var all []*subscriber
	for _, mode := range []string{"latest", "events"} {
		for i, base := range bases {
			all = append(all, &subscriber{name: fmt.Sprintf("%s on queryd-%d", mode, i), mode: mode, bases: []string{base}, sec: c.secrets})
		}
		all = append(all, &subscriber{name: mode + ", moving between them", mode: mode, bases: bases, sec: c.secrets})
	}
	return all
}

// followUpdates follows until ctx ends.
func (s *subscriber) followUpdates(ctx context.Context) {
	token := ""
	for ctx.Err() == nil {
		token = s.connectOnce(ctx, s.bases[s.tries%len(s.bases)], token)
		s.tries++
		wait.Sleep(ctx, 50*time.Millisecond+rand.N(200*time.Millisecond)) // the loop looks at ctx
	}
}

// frame is a message of gpu.live.v1, as far as it is looked at.
type frame struct {
	T       string
	Rev     string
	Part    int
	Resumed bool
	Del     []string
	Items   []struct {
		GPU    string
		M      map[string]json.Number
		Absent map[string]string
	}
	Code, Msg string
}

// connectOnce follows on one connection until it ends, and returns the token to resume from.
func (s *subscriber) connectOnce(ctx context.Context, base, token string) string {
	dialer := websocket.Dialer{HandshakeTimeout: 3 * time.Second, TLSClientConfig: s.sec.trust()}
	ws, _, err := dialer.DialContext(ctx, strings.Replace(base, "http", "ws", 1)+"/ws", s.sec.bearerHeader("read"))
	if err != nil {
		return token
	}
	s.dials++
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { _ = ws.Close() })() // its reader sees the end
	sub, err := json.Marshal(map[string]any{"op": "sub", "id": "s", "mode": s.mode, "hz": 10, "from": token})
	if err != nil || ws.WriteMessage(websocket.TextMessage, sub) != nil {
		return token
	}
	for {
		if err := ws.SetReadDeadline(time.Now().Add(quietLimit)); err != nil {
			return token
		}
		_, text, err := ws.ReadMessage()
		if err != nil {
			return token
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			s.recordMessage(step{conn: s.dials, kind: "garbled: " + string(text)})
			return token
		}
		if s.recordMessage(stepOf(s.dials, &f)); f.Rev != "" && f.T != "hello" && f.T != "ack" {
			token = f.Rev
		}
	}
}

func stepOf(conn int, f *frame) step {
	st := step{conn: conn, kind: f.T, rev: revisionOf(f.Rev), part: f.Part, resumed: f.Resumed, removed: f.Del}
	if f.T == "err" {
		st.kind = fmt.Sprintf("err: %s %s", f.Code, f.Msg)
	}
	for _, item := range f.Items {
		for metric, n := range item.M {
			st.cells = append(st.cells, cellValue{cell{item.GPU, metric}, n.String()})
		}
		for metric, reason := range item.Absent {
			st.cells = append(st.cells, cellValue{cell{item.GPU, metric}, "absent:" + reason})
		}
	}
	return st
}

func (s *subscriber) recordMessage(st step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, st)
	if st.kind == "hb" || st.kind == "upd" || st.kind == "synced" {
		s.last = st.rev
	}
	if st.kind == "ack" && st.resumed {
		s.resumed++
	}
}

// reached returns the newest position of the subscription.
func (s *subscriber) reached() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// revisionOf reads the revision out of a token. Clients must not, a checker may: base64 of "epoch-cluster-revision generation".
func revisionOf(token string) int64 {
	text, err := base64.RawURLEncoding.DecodeString(token)
	position, _, found := strings.Cut(string(text), " ")
	if err != nil || !found {
		return 0
	}
	return numberOf(position)
}

// numberOf returns the number in the text of a revision, 0 when there is none. Clients must not rely on it.
func numberOf(position string) int64 {
	n, err := strconv.ParseInt(position[strings.LastIndexByte(position, '-')+1:], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
