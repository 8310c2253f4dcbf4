package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const uploadsPath = "/api/v1/uploads"

// handed is the server's answer to a file that it processes in the background, and to a question about it.
type handed struct {
	ID    string          `json:"id"`
	Data  state           `json:"data"`
	Error json.RawMessage `json:"error"`
}

// state is how far an upload in the background is.
type state struct {
	State   string          `json:"state"`
	Waiting string          `json:"waiting"` // why it is tried again
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Receipt json.RawMessage `json:"receipt"` // what the answer would have been
}

func (s *state) final() bool {
	return s.State == "done" || s.State == "failed" || s.State == "cancelled"
}

const pollPause = 500 * time.Millisecond

// follow waits for the end of an upload that the server processes by itself; any other answer it gives back.
// The file is the server's by now: a question that is not answered is asked again, and the file not sent again.
func (c *Client) follow(ctx context.Context, answer *Answer) (*Answer, error) {
	var h handed
	if !c.cfg.Async || answer.HTTPStatus != http.StatusAccepted || json.Unmarshal(answer.Raw, &h) != nil || h.ID == "" {
		return answer, nil
	}
	for heard := time.Now(); !h.Data.final(); {
		if !c.sleep(ctx, pollPause) {
			return nil, fmt.Errorf("upload %s goes on without being watched: %w", h.ID, context.Cause(ctx))
		}
		now, err := c.ask(ctx, h.ID)
		switch {
		case err == nil:
			h.Data, heard = *now, time.Now()
		case errors.Is(err, errForgotten) || time.Since(heard) > c.cfg.RetryFor:
			return nil, &UndeliveredError{fmt.Errorf("upload %s was taken, and what became of it cannot be told: %w", h.ID, err)}
		}
	}
	return h.Data.answer(h.ID), nil
}

// answer is what the server would have said, had it been waited for.
func (s *state) answer(id string) *Answer {
	a := &Answer{}
	if len(s.Receipt) > 0 {
		_ = json.Unmarshal(s.Receipt, a) // one that cannot be read leaves the state's own words
	}
	a.FileID, a.Raw, a.HTTPStatus = id, s.Receipt, http.StatusOK
	a.Success = s.State == "done"
	if !a.Success {
		a.HTTPStatus = http.StatusUnprocessableEntity
		a.Error, a.Code = s.Error, s.Code
		if a.Error == "" {
			a.Error = "the upload was " + s.State
		}
	}
	return a
}

var errForgotten = errors.New("the server does not know the upload any more")

// ask asks for the state of an upload.
func (c *Client) ask(ctx context.Context, id string) (*state, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.JoinPath(uploadsPath, id).String(), nil)
	if err != nil {
		return nil, err
	}
	c.authorize(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, explain(err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, errForgotten
	}
	var h handed
	if err := json.Unmarshal(body, &h); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking about it: %s: %q", resp.Status, excerpt(body))
	}
	return &h.Data, nil
}
