package socket

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"telemetry-pipeline/events/access"
)

// graphqlSession speaks graphql-transport-ws: queries, mutations and subscriptions, each an operation under the
// client's id. Messages, order and close codes follow the reference implementation (github.com/enisdenjo/graphql-ws,
// PROTOCOL.md).
type graphqlSession struct {
	conn *conn
	init atomic.Bool // connection_init came; set by the reader

	running sync.WaitGroup
	mu      sync.Mutex
	ops     map[string]*operation
}

// operation is a running operation; its goroutine sends results to the writer.
type operation struct {
	id      string
	cancel  context.CancelFunc
	dropped atomic.Bool // the client completed it: its frames are not sent any more
}

func newGraphQLSession(c *conn) *graphqlSession {
	return &graphqlSession{conn: c, ops: map[string]*operation{}}
}

// clientMessage is the common part of all client messages.
type clientMessage struct {
	Type    string          `json:"type"`
	ID      json.RawMessage `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

func (s *graphqlSession) startSession() (time.Duration, *closing) {
	return s.conn.server.cfg.InitTimeout, closeWith(codeTimeout, "Connection initialisation timeout")
}

func (s *graphqlSession) isReady() bool { return s.init.Load() }

// handleMessage handles one message of the client.
func (s *graphqlSession) handleMessage(text []byte) error {
	var m clientMessage
	if err := json.Unmarshal(text, &m); err != nil {
		return badMessage("it is no JSON object with a type")
	}
	switch m.Type {
	case "connection_init":
		return s.acknowledgeInit(m)
	case "ping":
		return s.answerPing(m)
	case "pong":
		return objectOrNothing(m.Payload)
	case "subscribe":
		return s.startOperation(m)
	case "complete":
		id, err := m.textID()
		if err == nil {
			s.completeOperation(id)
		}
		return err
	default:
		return badMessage("type is none of this protocol's")
	}
}

func badMessage(why string) *closing { return closeWith(codeBadMessage, "Invalid message: %s", why) }

// acknowledgeInit acknowledges the one connection_init.
func (s *graphqlSession) acknowledgeInit(m clientMessage) error {
	if err := objectOrNothing(m.Payload); err != nil {
		return err
	}
	if s.init.Swap(true) {
		return closeWith(codeTooOften, "Too many initialisation requests")
	}
	if !s.conn.isKnown() {
		if err := s.conn.logIn(tokenOf(m.Payload)); err != nil {
			return err
		}
	}
	s.postFrame([]byte(`{"type":"connection_ack"}`))
	return nil
}

// tokenOf returns the token in the payload of connection_init: {"authorization":"Bearer …"} or {"token":"…"}; "" if there is none.
func tokenOf(payload json.RawMessage) string {
	var sent struct {
		Authorization string `json:"authorization"`
		Token         string `json:"token"`
	}
	if json.Unmarshal(payload, &sent) != nil {
		return ""
	}
	return cmp.Or(access.BearerToken(sent.Authorization), sent.Token)
}

// answerPing answers a ping with its payload.
func (s *graphqlSession) answerPing(m clientMessage) error {
	if err := objectOrNothing(m.Payload); err != nil {
		return err
	}
	frame := []byte(`{"type":"pong"`)
	if isPresent(m.Payload) {
		frame = append(append(frame, `,"payload":`...), m.Payload...)
	}
	s.postFrame(append(frame, '}'))
	return nil
}

// startOperation starts an operation.
func (s *graphqlSession) startOperation(m clientMessage) error {
	if !s.init.Load() || !s.conn.isKnown() {
		return closeWith(codeUnauthorized, "Unauthorized")
	}
	id, err := m.textID()
	if err != nil {
		return err
	}
	var request struct {
		Query *string `json:"query"`
		Operation
	}
	if err := json.Unmarshal(m.Payload, &request); err != nil || request.Query == nil {
		return badMessage("payload must hold the query as text; operationName is text, variables and extensions are objects")
	}
	request.Operation.Query, request.Operation.Cluster = *request.Query, s.conn.request.cluster

	ctx, cancel := context.WithCancel(s.conn.caller)
	op := &operation{id: id, cancel: cancel}
	s.mu.Lock()
	_, taken := s.ops[id]
	full := len(s.ops) >= s.conn.server.cfg.Subscriptions || !taken && !s.conn.share.enterOperation(s.conn.server.cfg.PerCaller)
	if !taken && !full {
		s.ops[id] = op
	}
	s.mu.Unlock()
	switch {
	case taken:
		cancel()
		return closeWith(codeDuplicate, "Subscriber for %s already exists", id)
	case full:
		cancel()
		s.postFrame(frameWith(id, "error", []byte(`[{"message":"too many operations on this connection, or of yours on all connections; complete one first"}]`)))
		return nil
	}
	s.running.Go(func() { s.runOperation(ctx, op, request.Operation) })
	return nil
}

// runOperation executes an operation to its end.
func (s *graphqlSession) runOperation(ctx context.Context, op *operation, request Operation) {
	defer op.cancel()
	defer s.conn.share.leaveOperations(1)
	defer func() {
		if p := recover(); p != nil {
			s.conn.server.lg.ErrorContext(ctx, "executing a GraphQL operation panicked", "panic", p, "stack", string(debug.Stack()))
			s.conn.cancel(s.panicClosing())
		}
	}()
	results, errs := s.conn.server.exec.Execute(ctx, request)
	if errs != nil {
		s.forgetOperation(op)
		s.postResult(op, "error", errs)
		return
	}
	for result := range results {
		if ctx.Err() != nil || !s.postResult(op, "next", result) {
			return
		}
	}
	s.forgetOperation(op) // first: the id is free once the client reads complete
	s.postResult(op, "complete", nil)
}

// completeOperation ends an operation for the client. Unknown ids belong to operations that ended meanwhile.
func (s *graphqlSession) completeOperation(id string) {
	s.mu.Lock()
	op := s.ops[id]
	delete(s.ops, id)
	s.mu.Unlock()
	if op != nil {
		op.dropped.Store(true)
		op.cancel()
	}
}

// forgetOperation frees an operation's id, unless it belongs to another operation already.
func (s *graphqlSession) forgetOperation(op *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops[op.id] == op {
		delete(s.ops, op.id)
	}
}

// postFrame sends a frame through the writer. It returns false when the connection has ended.
func (s *graphqlSession) postFrame(frame []byte) bool {
	return s.conn.runInWriter(func() { s.conn.sendText(frame) })
}

// postResult sends an operation's frame through the writer, unless the client has completed the operation by then.
func (s *graphqlSession) postResult(op *operation, kind string, payload json.RawMessage) bool {
	frame := frameWith(op.id, kind, payload)
	return s.conn.runInWriter(func() {
		if !op.dropped.Load() {
			s.conn.sendText(frame)
		}
	})
}

// frameWith returns a message of an operation.
func frameWith(id, kind string, payload json.RawMessage) []byte {
	b := make([]byte, 0, 48+len(id)+len(payload))
	b = appendText(append(b, `{"id":`...), id)
	b = appendField(b, "type", kind)
	if payload != nil {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return append(b, '}')
}

// textID returns the message's id, which must be text.
func (m *clientMessage) textID() (string, error) {
	var id string
	if err := json.Unmarshal(m.ID, &id); err != nil || id == "" {
		return "", badMessage("id must be text that is not empty")
	}
	return id, nil
}

// objectOrNothing returns an error for a payload that is no object.
func objectOrNothing(payload json.RawMessage) error {
	if text := bytes.TrimSpace(payload); isPresent(text) && text[0] != '{' {
		return badMessage("payload must be an object")
	}
	return nil
}

func isPresent(payload json.RawMessage) bool {
	return len(payload) > 0 && !bytes.Equal(payload, []byte("null"))
}

// writeFrames does nothing: operations send their results to the writer themselves.
func (s *graphqlSession) writeFrames(int) bool { return false }

func (s *graphqlSession) sayGoodbye(*closing) {}

// closeSession waits for the operations, whose contexts have ended with the connection's.
func (s *graphqlSession) closeSession() { s.running.Wait() }

func (s *graphqlSession) panicClosing() *closing {
	return closeWith(codeInternal, "Internal server error")
}
