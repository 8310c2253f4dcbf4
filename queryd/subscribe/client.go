package subscribe

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"telemetry-pipeline/events/caller"
	"telemetry-pipeline/events/wait"
)

// Client runs a subscription at one server.
type Client struct {
	endpoint  string
	caller    *caller.Caller
	variables json.RawMessage
	retryFor  time.Duration
	backoff   wait.Backoff
	lg        *slog.Logger
}

// New returns a client that is not connected yet. Its errors are about cfg. A nil lg discards.
func New(cfg Config, lg *slog.Logger) (*Client, error) {
	cfg = cfg.withDefaults()
	endpoint, err := cfg.webSocketURL()
	if err != nil {
		return nil, err
	}
	identity, err := caller.New(cfg.Caller, endpoint)
	if err != nil {
		return nil, err
	}
	variables, err := cfg.parseVariables()
	if err != nil {
		return nil, err
	}
	if lg == nil {
		lg = slog.New(slog.DiscardHandler)
	}
	return &Client{
		endpoint: endpoint.String(), caller: identity, variables: variables, retryFor: cfg.RetryFor, lg: lg,
		backoff: wait.Backoff{Least: time.Second, Most: 15 * time.Second},
	}, nil
}

// Run executes an operation and writes each of its results to out as one line of JSON, until the server completes it
// or ctx ends; both return nil. It returns an error if the server is not reached at the start or for Config.RetryFor
// later, if the server refuses the operation, and if out cannot be written.
func (c *Client) Run(ctx context.Context, document string, out io.Writer) error {
	var lost time.Time // time of the last result; zero: there were none yet
	for {
		results, err := c.runOnce(ctx, document, out)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if results > 0 {
			lost = time.Now()
			c.backoff.Reset()
		}
		if isFinal(err) || lost.IsZero() {
			return err
		}
		pause := c.backoff.Next()
		if time.Since(lost)+pause > c.retryFor {
			return fmt.Errorf("the subscription broke, and was not made again within %s (flag retry-for): %w", max(0, c.retryFor), err)
		}
		c.lg.Warn("the subscription broke; connecting again", "in", pause.Round(time.Millisecond), "err", err)
		if !wait.Sleep(ctx, pause) {
			return nil
		}
	}
}

// runOnce executes the operation on one connection and returns the number of results written.
func (c *Client) runOnce(ctx context.Context, document string, out io.Writer) (results int, err error) {
	conn, err := dialServer(ctx, c.endpoint, c.caller.TLSConfig())
	if err != nil {
		return 0, err
	}
	defer conn.closeConn()
	stop := context.AfterFunc(ctx, conn.closeConn) // ends a read
	defer stop()
	token, err := c.caller.Token()
	if err != nil {
		return 0, err
	}
	if err := conn.startOperation(token, document, c.variables); err != nil {
		return 0, err
	}
	for {
		result, err := conn.nextResult()
		if err != nil || result == nil {
			return results, err
		}
		if _, err := out.Write(result); err != nil {
			return results, &finalError{fmt.Errorf("writing a result: %w", err)}
		}
		results++
	}
}
