package socket

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// The close codes that the server sends. Clients of graphql-transport-ws give up on 4400 to 4429 except 4403 and
// 4408, and reconnect after the others; 1011 would be fatal to them, so it is never sent there.
const (
	codeTooMany      = 1013 // more connections than allowed
	codeInvalidText  = 1007 // not UTF-8
	codeCrashed      = 1011 // server error (gpu.live.v1)
	codeRestart      = 1012
	codeSlow         = 4008
	codeBadMessage   = 4400
	codeUnauthorized = 4401 // no or bad credentials, and subscribe before connection_ack
	codeSubprotocol  = 4406
	codeTimeout      = 4408 // no request in time
	codeDuplicate    = 4409
	codeTooOften     = 4429 // a second connection_init, or more messages than allowed
	codeInternal     = 4500 // server error (graphql-transport-ws)
)

// closing is the reason why the server closes a connection. It is the cause of the connection's context.
type closing struct {
	code   int
	reason string
}

// Error returns the code and the reason.
func (c *closing) Error() string { return fmt.Sprintf("closing with %d: %s", c.code, c.reason) }

// closeWith returns a closing; the protocol allows a reason 123 bytes.
func closeWith(code int, format string, args ...any) *closing {
	reason := fmt.Sprintf(format, args...)
	for len(reason) > 123 {
		_, size := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-size]
	}
	return &closing{code: code, reason: reason}
}

var (
	// errGone ends a connection that the client closed, or that broke.
	errGone = errors.New("connection ended by the client or the network")
	// errStuck ends a connection that did not take a frame in time; a close frame would not get through either.
	errStuck = errors.New("client does not take frames")
)
