package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/uploads"
)

const uploadsPath = "/api/v1/uploads/"

// uploadView is an upload as people see it, with figures that follow from its state.
type uploadView struct {
	uploads.Upload
	BytesPerSecond    float64   `json:"bytes_per_second,omitempty"`
	RowsPerSecond     float64   `json:"rows_per_second,omitempty"`
	SecondsLeft       *float64  `json:"seconds_left,omitempty"` // of this attempt, at its rate
	EstimatedEnd      time.Time `json:"estimated_end,omitzero"`
	answer.Quarantine           // as it is now, of an upload that has ended
}

// newUploadView returns an upload with its answer, or without it as in a list.
func newUploadView(u uploads.Upload, whole bool) uploadView {
	v := uploadView{Upload: u}
	v.Spans = nil // for the server alone
	if !whole {
		v.Receipt = nil
	}
	v.BytesPerSecond, v.RowsPerSecond = u.Rate()
	if left, known := u.TimeLeft(); known {
		seconds := left.Seconds()
		v.SecondsLeft, v.EstimatedEnd = &seconds, u.UpdatedAt.Add(left)
	}
	return v
}

type uploadResponse struct {
	Success bool       `json:"success"` // always true
	Data    uploadView `json:"data"`
	Message string     `json:"message,omitempty"`
}

type uploadList struct {
	Success  bool         `json:"success"` // always true
	Data     []uploadView `json:"data"`
	Count    int          `json:"count"`
	Total    int          `json:"total"` // of which the newest are given
	Warnings []string     `json:"warnings,omitempty"`
}

// The bounds of a list.
const (
	defaultUploads = 100
	maxUploads     = 1000
	statesTimeout  = 5 * time.Second // for etcd to answer
)

// listUploads answers GET /api/v1/uploads.
func (s *Server) listUploads(c *fiber.Ctx) error {
	limit, states, err := listParameters(c.Queries())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.waits, statesTimeout)
	defer cancel()
	p := principalOf(c)
	all, err := s.states.List(ctx, func(u *uploads.Upload) bool {
		return maySee(p, u) && (len(states) == 0 || slices.Contains(states, u.State))
	})
	list := uploadList{Success: true, Data: []uploadView{}, Total: len(all)}
	if err != nil {
		s.lg.WarnContext(c.UserContext(), "listing uploads", "err", err)
		list.Warnings = []string{"etcd does not answer, so only uploads of this server are known"}
	}
	for _, u := range all[:min(len(all), limit)] {
		list.Data = append(list.Data, newUploadView(u, false))
	}
	list.Count = len(list.Data)
	return c.JSON(list)
}

func listParameters(queries map[string]string) (limit int, states []uploads.State, err error) {
	limit = defaultUploads
	for name, text := range queries {
		switch name {
		case "limit":
			limit, err = strconv.Atoi(text)
			if err != nil || limit < 1 || limit > maxUploads {
				return 0, nil, answer.BadParameter(name, "%q is no number from 1 to %d", text, maxUploads)
			}
		case "state":
			for state := range strings.SplitSeq(text, ",") {
				if !slices.Contains(uploads.States(), uploads.State(state)) {
					return 0, nil, answer.BadParameter(name, "%q is none of %v", state, uploads.States())
				}
				states = append(states, uploads.State(state))
			}
		default:
			return 0, nil, answer.BadParameter(name, "it is not known; known are limit, state")
		}
	}
	return limit, states, nil
}

// getUpload answers GET /api/v1/uploads/{id}.
func (s *Server) getUpload(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(access.WithRequestOf(s.waits, c.UserContext()), statesTimeout)
	defer cancel()
	u, err := s.findUpload(ctx, c)
	if err != nil {
		return statesRefusal(err)
	}
	return c.JSON(uploadResponse{Success: true, Data: s.endedView(ctx, u)})
}

// findUpload returns the upload of a request. An upload that is not for its caller to see is unknown.
func (s *Server) findUpload(ctx context.Context, c *fiber.Ctx) (uploads.Upload, error) {
	u, err := s.states.Get(ctx, uploadID(c))
	if err == nil && !maySee(principalOf(c), &u) {
		return uploads.Upload{}, uploads.ErrUnknown
	}
	return u, err
}

// maySee reports whether a principal may see and cancel an upload: its own, or, as an admin of everything, all.
func maySee(p *access.Principal, u *uploads.Upload) bool {
	return u.Owner != "" && u.Owner == p.ID || p.Scope.IsWhole() && p.May(access.Administer)
}

// endedView returns an upload with its answer and, once it has ended, its events that could not be folded until now.
func (s *Server) endedView(ctx context.Context, u uploads.Upload) uploadView {
	v := newUploadView(u, true)
	if !u.State.Final() || len(u.Spans) == 0 {
		return v
	}
	found, err := s.runner.quarantineOf(ctx, u.ID, u.Spans, nil)
	if err != nil {
		s.lg.WarnContext(ctx, "looking for an upload in the quarantine", "upload", u.ID, "err", err)
	}
	v.Quarantine = found
	return v
}

func uploadID(c *fiber.Ctx) events.UploadID { return events.UploadID(strings.Clone(c.Params("id"))) }

func statesRefusal(err error) error {
	if errors.Is(err, uploads.ErrUnknown) {
		return answer.Refuse(answer.CodeUnknownUpload, "%v", err)
	}
	return answer.Refuse(answer.CodeLogUnavailable,
		"etcd does not answer, which knows of the uploads of other servers; ask again in a few seconds").WithRetryAfter(5 * time.Second).WithCause(err)
}

// cancelUpload answers DELETE /api/v1/uploads/{id}: when the upload has ended, or, if that takes too long or is
// for another server to do, before that.
func (s *Server) cancelUpload(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.waits, statesTimeout)
	defer cancel()
	id := uploadID(c)
	u, err := s.findUpload(ctx, c)
	if err == nil {
		u, err = s.states.Cancel(ctx, id)
	}
	if err != nil {
		return statesRefusal(err)
	}
	s.recordAction(c, slog.String("upload", string(id)), slog.String("state", string(u.State)))
	if u.State.Final() && u.State != uploads.Cancelled {
		return answer.Refuse(answer.CodeUploadEnded, "the upload has ended (%s), and there is nothing left to cancel; what it stored stays", u.State)
	}
	for now, err := range s.states.Follow(ctx, id, time.Hour) {
		if err != nil {
			break // the wish is known all the same
		}
		u = now
	}
	switch {
	case u.State == uploads.Cancelled:
		return c.JSON(uploadResponse{true, newUploadView(u, true), "the upload was cancelled; what it had stored until then stays, and its files are removed"})
	case u.State.Final():
		return answer.Refuse(answer.CodeUploadEnded, "the upload ended (%s) before it could be cancelled; what it stored stays", u.State)
	}
	return c.Status(fiber.StatusAccepted).JSON(uploadResponse{true, newUploadView(u, true),
		fmt.Sprintf("the server %s, which has the upload, was asked to cancel it; the records that it has stored stay", u.Server)})
}
