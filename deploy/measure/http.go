package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client is an HTTP client that keeps its connections and never asks for compression, so that two servers send the
// same kind of bytes.
type Client struct{ http.Client }

const answerWithin = 10 * time.Minute

// NewClient makes a client that keeps as many connections to a server.
func NewClient(connections int) *Client {
	return &Client{http.Client{
		Timeout:   answerWithin,
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}}
}

// Get returns the body of an answer that is 200.
func (c *Client) Get(ctx context.Context, url string) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, url, "", nil)
}

// GetJSON parses the body of an answer that is 200.
func (c *Client) GetJSON(ctx context.Context, url string, into any) error {
	body, err := c.Get(ctx, url)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// Post sends a body and returns the body of the answer, whose status must be 2xx.
func (c *Client) Post(ctx context.Context, url, kind string, body io.Reader) ([]byte, error) {
	return c.exchange(ctx, http.MethodPost, url, kind, body)
}

func (c *Client) exchange(ctx context.Context, method, url, kind string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, &StatusError{Code: resp.StatusCode, URL: url, Body: text}
	}
	return text, nil
}

// StatusError is an answer whose status is not 2xx.
type StatusError struct {
	Code int
	URL  string
	Body []byte
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d: %.300s", e.URL, e.Code, e.Body)
}
