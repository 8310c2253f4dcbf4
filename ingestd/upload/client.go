package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"time"

	"telemetry-pipeline/events/wait"
)

const uploadPath = "/api/v1/csv/upload"

// Source is a file to send. Open gives its content from the beginning, once for each attempt.
type Source struct {
	Name string // as the server is told
	Size int64
	Open func() (io.ReadCloser, error)

	once bool // what it gives is there once only, and how much it is shows at its end
}

// Client sends files to one server. Safe for concurrent use.
type Client struct {
	cfg    Config
	server *url.URL
	http   *http.Client
	sleep  func(context.Context, time.Duration) bool // wait.Sleep; tests do not wait
}

// New makes a client; it connects to nothing yet.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	server, err := cfg.server()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Second // then a refusal comes before the file is sent
	transport.MaxIdleConnsPerHost = cfg.Parallel
	return &Client{cfg: cfg, server: server, http: &http.Client{Transport: transport}, sleep: wait.Sleep}, nil
}

// Attempt tells of an attempt that failed and will be repeated.
type Attempt struct {
	Err   error
	Again time.Duration // until the next one
}

// UndeliveredError says that a file was given up after trying for Config.RetryFor: the server could not be
// reached, or could not take it.
type UndeliveredError struct{ Err error }

func (e *UndeliveredError) Error() string {
	return "given up for now, send it again later: " + e.Err.Error()
}

func (e *UndeliveredError) Unwrap() error { return e.Err }

// Send sends a file until the server has said what became of it. sent is told the bytes of an attempt as they
// go, and retry each attempt that will be repeated; both may be nil. The errors are those of reading the
// file, of ctx, and *UndeliveredError; a refusal is an Answer, not an error.
func (c *Client) Send(ctx context.Context, f Source, sent func(int64), retry func(Attempt)) (*Answer, error) {
	began := time.Now()
	for pause := (wait.Backoff{Least: firstPause, Most: longestPause}); ; {
		answer, err := c.attempt(ctx, f, sent)
		if _, local := errors.AsType[*localError](err); local || ctx.Err() != nil {
			return nil, err
		}
		if err == nil && answer.final() {
			return c.follow(ctx, answer)
		}
		if err == nil {
			err = errors.New(answer.Error)
		}
		again := pause.Next()
		if answer != nil {
			again = max(again, answer.retryAfter)
		}
		if time.Since(began)+again > c.cfg.RetryFor {
			return answer, &UndeliveredError{err}
		}
		if retry != nil {
			retry(Attempt{err, again})
		}
		if !c.sleep(ctx, again) {
			return nil, context.Cause(ctx)
		}
	}
}

const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// localError is an error of this machine's file, which no retry mends.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

func (e *localError) Unwrap() error { return e.err }

// attempt sends a file once.
func (c *Client) attempt(ctx context.Context, f Source, sent func(int64)) (*Answer, error) {
	file, err := f.Open()
	if err != nil {
		return nil, &localError{err}
	}
	defer file.Close()
	watched := &content{src: file, left: f.Size, sent: sent}
	req, err := c.request(ctx, f, watched)
	if err != nil {
		return nil, &localError{err}
	}
	resp, err := c.http.Do(req)
	if failed := watched.failed(); failed != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, &localError{fmt.Errorf("reading %s: %w", f.Name, failed)}
	}
	if err != nil {
		return nil, explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, explain(err)
	}
	return read(resp, body), nil
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// request makes a form with one file. Its length is known, so the server can refuse it before it is sent.
func (c *Client) request(ctx context.Context, f Source, file io.Reader) (*http.Request, error) {
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	if _, err := form.CreateFormFile("file", f.Name); err != nil {
		return nil, err
	}
	head := bytes.Clone(frame.Bytes())
	frame.Reset()
	if err := form.Close(); err != nil {
		return nil, err
	}
	to := c.server.JoinPath(uploadPath)
	to.RawQuery = c.cfg.query().Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), io.MultiReader(bytes.NewReader(head), file, &frame))
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(head)) + f.Size + int64(frame.Len())
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Expect", "100-continue")
	c.authorize(req)
	return req, nil
}

func (c *Client) authorize(req *http.Request) {
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
}

// explain says what a person can do about an error of the connection.
func explain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("the upload server does not answer (flag url says where it is): %w", err)
	}
	return err
}
