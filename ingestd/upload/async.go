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

// asyncResponse is the server's response to a file that it processes in the background, and to a request for its
// state.
type asyncResponse struct {
	ID    string          `json:"id"`
	Data  asyncState      `json:"data"`
	Error json.RawMessage `json:"error"`
}

// asyncState is the state of an upload in the background.
type asyncState struct {
	State   string          `json:"state"`
	Waiting string          `json:"waiting"` // reason for the next attempt
	Error   string          `json:"error"`
	Code    string          `json:"code"`
	Receipt json.RawMessage `json:"receipt"` // the response that a synchronous upload would have received
}

func (s *asyncState) isFinal() bool {
	return s.State == "done" || s.State == "failed" || s.State == "cancelled"
}

const pollPause = 500 * time.Millisecond

// followUpload polls an upload in the background until it ends and returns its answer. It returns any other answer
// unchanged. The server already has the file: a failed poll is repeated, and the file is not sent again.
func (c *Client) followUpload(ctx context.Context, answer *Answer) (*Answer, error) {
	var h asyncResponse
	if !c.cfg.Async || answer.HTTPStatus != http.StatusAccepted || json.Unmarshal(answer.Raw, &h) != nil || h.ID == "" {
		return answer, nil
	}
	for heard := time.Now(); !h.Data.isFinal(); {
		if !c.sleep(ctx, pollPause) {
			return nil, fmt.Errorf("upload %s continues on the server, and this client no longer follows it: %w", h.ID, context.Cause(ctx))
		}
		now, err := c.fetchState(ctx, h.ID)
		switch {
		case err == nil:
			h.Data, heard = *now, time.Now()
		case errors.Is(err, errUnknownUpload) || time.Since(heard) > c.cfg.RetryFor:
			return nil, &UndeliveredError{fmt.Errorf("upload %s was accepted, and its result is unknown: %w", h.ID, err)}
		}
	}
	return h.Data.finalAnswer(h.ID), nil
}

// finalAnswer returns the answer that a synchronous upload would have received.
func (s *asyncState) finalAnswer(id string) *Answer {
	a := &Answer{}
	if len(s.Receipt) > 0 {
		_ = json.Unmarshal(s.Receipt, a) // without a readable receipt, the state's own error is used
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

var errUnknownUpload = errors.New("the server no longer knows the upload")

// fetchState requests the state of an upload.
func (c *Client) fetchState(ctx context.Context, id string) (*asyncState, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.JoinPath(uploadsPath, id).String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, explainDial(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, explainDial(err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return nil, errUnknownUpload
	}
	var h asyncResponse
	if err := json.Unmarshal(body, &h); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading its state: %s: %q", resp.Status, bodyExcerpt(body))
	}
	return &h.Data, nil
}
