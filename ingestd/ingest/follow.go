package ingest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/uploads"
)

const (
	maxFollowers      = 256              // of uploads' progress at a time
	heartbeatInterval = 15 * time.Second // of a stream in which nothing happens
	followTimeout     = 10 * time.Second // for a follower to receive an event
)

// followUpload answers GET /api/v1/uploads/{id}/events with a stream of server-sent events: "progress" with the state
// as it is, then with each change, and at last an event named after the final state. A browser that reconnects after
// that is answered 204, so that it stays away.
func (s *Server) followUpload(c *fiber.Ctx) error {
	if !s.followers.TryAcquire(1) {
		return answer.Refuse(answer.CodeFollowers,
			"as many as %d follow uploads of this server already; ask for %s{id} from time to time instead", maxFollowers, uploadsPath).WithRetryAfter(30 * time.Second)
	}
	leave := func() { s.followers.Release(1) }
	ctx, cancel := context.WithTimeout(s.waits, statesTimeout)
	defer cancel()
	id, p := uploadID(c), principalOf(c)
	u, err := s.findUpload(ctx, c)
	if err != nil {
		leave()
		return statesRefusal(err)
	}
	if u.State.Final() && c.Get("Last-Event-ID") == eventID(&u) {
		leave()
		return c.SendStatus(fiber.StatusNoContent)
	}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no")
	conn := c.Context().Conn()
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer leave()
		valid, end := s.bindCredentials(s.waits, p)
		defer end()
		last := ""
		for u, err := range s.states.Follow(valid, id, heartbeatInterval) {
			if valid.Err() != nil {
				break
			}
			_ = conn.SetWriteDeadline(time.Now().Add(followTimeout)) // fails only on a closed connection, to which the write below fails
			if id := eventID(&u); err != nil || id != last {
				last = id
				err = s.writeState(w, &u, err)
			} else {
				_, err = io.WriteString(w, ": nothing new\n\n")
			}
			if err != nil || w.Flush() != nil {
				return
			}
		}
		if refusal, ok := errors.AsType[*answer.Refusal](context.Cause(valid)); ok {
			_ = conn.SetWriteDeadline(time.Now().Add(followTimeout))
			if writeRefusal(w, refusal) == nil {
				_ = w.Flush() // the stream ends in any case
			}
		}
	})
	return nil
}

var errStreamEnds = errors.New("the stream ends with an error")

// writeState writes one event. An event of an error ends the stream.
func (s *Server) writeState(w io.Writer, u *uploads.Upload, err error) error {
	if err != nil {
		return errors.Join(errStreamEnds, writeRefusal(w, answer.RefusalOf(statesRefusal(err))))
	}
	name := "progress"
	if u.State.Final() {
		name = string(u.State)
	}
	ctx, cancel := context.WithTimeout(s.waits, statesTimeout)
	defer cancel()
	text, err := json.Marshal(s.endedView(ctx, *u))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", eventID(u), name, text)
	return err
}

// writeRefusal writes the event of an error.
func writeRefusal(w io.Writer, r *answer.Refusal) error {
	text, err := json.Marshal(answer.Failure{Error: r.Text, Code: r.Code})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "event: error\ndata: %s\n\n", text)
	return err
}

// eventID returns the identity of a state of an upload.
func eventID(u *uploads.Upload) string { return strconv.FormatInt(u.UpdatedAt.UnixNano(), 36) }
