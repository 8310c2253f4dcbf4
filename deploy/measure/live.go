package measure

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
)

// FollowGPU connects to /ws of a query server, whose address is as http://127.0.0.1:PORT, and follows one GPU in latest mode. The
// caller closes the connection.
func FollowGPU(ctx context.Context, queries, gpu string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{HandshakeTimeout: 30 * time.Second, ReadBufferSize: 4096, WriteBufferSize: 512}
	conn, _, err := dialer.DialContext(ctx, strings.Replace(queries, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		return nil, err
	}
	sub, err := json.Marshal(map[string]any{"op": "sub", "id": "s", "mode": "latest", "filter": map[string]any{"gpu": []string{gpu}}})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := conn.WriteMessage(websocket.TextMessage, sub); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
