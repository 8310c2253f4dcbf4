package subscribe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/fasthttp/websocket"
)

// finalError is an error that another attempt would meet again.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }

func (e *finalError) Unwrap() error { return e.err }

func isFinal(err error) bool {
	_, final := errors.AsType[*finalError](err)
	return final
}

// refusalError returns the messages of GraphQL errors.
func refusalError(payload json.RawMessage) error {
	var errs []struct{ Message string }
	if err := json.Unmarshal(payload, &errs); err != nil || len(errs) == 0 {
		return fmt.Errorf("the server refused the operation: %s", payload)
	}
	messages := make([]string, len(errs))
	for i, e := range errs {
		messages[i] = e.Message
	}
	return fmt.Errorf("the server refused the operation: %s", strings.Join(messages, "; "))
}

// The close codes from 4400 to 4500 are about the client and final, except two that may succeed later.
const (
	codeFirstFinal   = 4400
	codeLastFinal    = 4500
	codeUnauthorized = 4401
	codeTimeout      = 4408
)

// explainClose returns a finalError for a close that another attempt would meet again, and other errors unchanged. A token
// that was accepted before has expired: its file may have the next one.
func (c *conn) explainClose(err error) error {
	closed, ok := errors.AsType[*websocket.CloseError](err)
	if !ok || closed.Code < codeFirstFinal || closed.Code > codeLastFinal {
		return err
	}
	switch {
	case closed.Code == codeTimeout, closed.Code == codeUnauthorized && c.acknowledged:
		return err
	}
	return &finalError{fmt.Errorf("the server closed the connection: %w", err)}
}
