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

	"telemetry-pipeline/events/caller"
	"telemetry-pipeline/events/wait"
)

const uploadPath = "/api/v1/csv/upload"

// Source is a file to send. Open is called once for each attempt and returns the content from its beginning.
type Source struct {
	Name string // file name in the form
	Size int64
	Open func() (io.ReadCloser, error)

	oneShot bool // the content can be read only once, and its size is known only at its end
}

// Client sends files to one server. It is safe for concurrent use.
type Client struct {
	cfg    Config
	server *url.URL
	http   *http.Client
	sleep  func(context.Context, time.Duration) bool // wait.Sleep; replaced in tests
}

// New returns a client. It opens no connection.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	server, err := cfg.serverURL()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Second // so that a refusal arrives before the file is sent
	transport.MaxIdleConnsPerHost = cfg.Parallel
	identity, err := caller.New(cfg.Caller, server)
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, server: server, http: identity.HTTPClient(transport), sleep: wait.Sleep}, nil
}

// Attempt describes a failed attempt that will be repeated.
type Attempt struct {
	Err     error
	RetryIn time.Duration // pause before the next attempt
}

// UndeliveredError reports that a file was given up after Config.RetryFor: the server could not be reached, or could
// not accept the file.
type UndeliveredError struct{ Err error }

func (e *UndeliveredError) Error() string {
	return "given up for now, send it again later: " + e.Err.Error()
}

func (e *UndeliveredError) Unwrap() error { return e.Err }

// Send sends a file and returns the server's final answer. It calls sent with the number of bytes as they are sent,
// and retry before each repeated attempt; both may be nil. It returns an error when the file cannot be read or ctx
// ends, and *UndeliveredError after Config.RetryFor; a refusal is an Answer, not an error.
func (c *Client) Send(ctx context.Context, f Source, sent func(int64), retry func(Attempt)) (*Answer, error) {
	began := time.Now()
	for pause := (wait.Backoff{Least: firstPause, Most: longestPause}); ; {
		answer, err := c.sendOnce(ctx, f, sent)
		if isFinal(err) || ctx.Err() != nil {
			return nil, err
		}
		if err == nil && answer.isFinal() {
			return c.followUpload(ctx, answer)
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

// localError is an error of the local file. It is never retried.
type localError struct{ err error }

func (e *localError) Error() string { return e.err.Error() }

func (e *localError) Unwrap() error { return e.err }

// isFinal reports whether another attempt would meet the same error.
func isFinal(err error) bool {
	_, local := errors.AsType[*localError](err)
	_, away := errors.AsType[*caller.RedirectError](err)
	return local || away
}

// sendOnce makes one attempt to send a file.
func (c *Client) sendOnce(ctx context.Context, f Source, sent func(int64)) (*Answer, error) {
	file, err := f.Open()
	if err != nil {
		return nil, &localError{err}
	}
	defer file.Close()
	watched := &fileBody{src: file, left: f.Size, sent: sent}
	req, err := c.newRequest(ctx, f, watched)
	if err != nil {
		return nil, &localError{err}
	}
	resp, err := c.http.Do(req)
	if failed := watched.readError(); failed != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, &localError{fmt.Errorf("reading %s: %w", f.Name, failed)}
	}
	if err != nil {
		return nil, explainDial(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, explainDial(err)
	}
	return parseAnswer(resp, body), nil
}

// maxAnswer bounds how much of a response is read.
const maxAnswer = 16 << 20

// newRequest returns a request with a form of one file. The content length is known, so the server can refuse it
// before it is sent.
func (c *Client) newRequest(ctx context.Context, f Source, file io.Reader) (*http.Request, error) {
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
	to.RawQuery = c.cfg.queryValues().Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), io.MultiReader(bytes.NewReader(head), file, &frame))
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(head)) + f.Size + int64(frame.Len())
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Expect", "100-continue")
	return req, nil
}

// explainDial adds advice to a failed connection.
func explainDial(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("the upload server does not answer (check its address, flag url): %w", err)
	}
	return err
}
