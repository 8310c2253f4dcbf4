package subscribe

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/fasthttp/websocket"
)

const (
	subprotocol = "graphql-transport-ws"
	operationID = "1" // of the one operation of a connection

	connectTimeout = 10 * time.Second
	writeTimeout   = 10 * time.Second
	silence        = time.Minute // without a message or a ping until the server counts as gone; it pings every 20 s
)

// conn is a connection that speaks graphql-transport-ws. Only closeConn is safe for concurrent use.
type conn struct {
	ws           *websocket.Conn
	acknowledged bool // the server took the token, if there was one
}

// message is a message of the protocol, from either side.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// dialServer connects to the server.
func dialServer(ctx context.Context, endpoint string, secure *tls.Config) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, Subprotocols: []string{subprotocol}, TLSClientConfig: secure}
	ws, resp, err := dialer.DialContext(ctx, endpoint, nil)
	if err != nil {
		return nil, explainDial(endpoint, resp, err)
	}
	c := &conn{ws: ws}
	if ws.Subprotocol() != subprotocol {
		c.closeConn()
		return nil, &finalError{fmt.Errorf("the server at %s does not speak %s: name a query server with -url", endpoint, subprotocol)}
	}
	ws.SetPingHandler(func(data string) error {
		c.extendDeadline()
		err := ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeTimeout))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
	return c, nil
}

// extendDeadline postpones the end of a silent connection. An error means that it is closed, which the next read
// reports.
func (c *conn) extendDeadline() { _ = c.ws.SetReadDeadline(time.Now().Add(silence)) }

// startOperation sends the operation once the server has acknowledged the connection. A token is in the first message, since
// logs of proxies show URLs and subprotocols.
func (c *conn) startOperation(token, document string, variables json.RawMessage) error {
	first := message{Type: "connection_init"}
	if token != "" {
		var err error
		if first.Payload, err = json.Marshal(map[string]string{"authorization": "Bearer " + token}); err != nil {
			return err
		}
	}
	if err := c.sendMessage(first); err != nil {
		return err
	}
	if m, err := c.receiveMessage(); err != nil {
		return err
	} else if m.Type != "connection_ack" {
		return &finalError{fmt.Errorf("the server sent %q before it acknowledged the connection", m.Type)}
	}
	c.acknowledged = true
	payload, err := json.Marshal(struct {
		Query     string          `json:"query"`
		Variables json.RawMessage `json:"variables,omitempty"`
	}{document, variables})
	if err != nil {
		return err
	}
	return c.sendMessage(message{ID: operationID, Type: "subscribe", Payload: payload})
}

// nextResult returns the next result as a line of JSON, nil when the server has completed the operation.
func (c *conn) nextResult() ([]byte, error) {
	for {
		m, err := c.receiveMessage()
		switch {
		case err != nil:
			return nil, err
		case m.ID != operationID:
			continue
		case m.Type == "complete":
			return nil, nil
		case m.Type == "error":
			return nil, &finalError{refusalError(m.Payload)}
		case m.Type == "next":
			var line bytes.Buffer
			if err := json.Compact(&line, m.Payload); err != nil {
				return nil, fmt.Errorf("reading a result: %w", err)
			}
			line.WriteByte('\n')
			return line.Bytes(), nil
		}
	}
}

// receiveMessage returns the next message that is not about the connection itself.
func (c *conn) receiveMessage() (m message, err error) {
	for {
		c.extendDeadline()
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			return m, c.explainClose(err)
		}
		m = message{}
		if err := json.Unmarshal(text, &m); err != nil {
			return m, fmt.Errorf("reading a message of the server: %w", err)
		}
		switch m.Type {
		case "ping":
			if err := c.sendMessage(message{Type: "pong", Payload: m.Payload}); err != nil {
				return m, err
			}
		case "pong":
		default:
			return m, nil
		}
	}
}

func (c *conn) sendMessage(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := c.ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return c.ws.WriteMessage(websocket.TextMessage, text)
}

// closeConn sends a close frame, if the server can still be reached, and frees the connection.
func (c *conn) closeConn() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = c.ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second)) // it may be broken already
	_ = c.ws.Close()                                                                    // nothing is left to be done with it
}

// maxRefusal bounds the shown part of a refused connection's response, in bytes.
const maxRefusal = 300

// explainDial adds the user's next step to a connection error.
func explainDial(endpoint string, resp *http.Response, err error) error {
	if resp == nil {
		return fmt.Errorf("no query server answers at %s: start one, for example with go run ./deploy/standalone --demo, or name another with -url: %w", endpoint, err)
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // the status alone is an answer too
	err = fmt.Errorf("%s answered %s: %s (flag -url names the query server; it serves subscriptions unless enable-websocket or enable-graphql is false)",
		endpoint, resp.Status, bytes.TrimSpace(text))
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError {
		return err
	}
	return &finalError{err}
}
