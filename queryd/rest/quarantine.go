package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
)

// Quarantined is an event that could not be folded into the models. It stays in the log.
type Quarantined struct {
	Partition    events.Partition
	Key          string
	Revision     events.Revision
	Host         events.HostID // "" when the event's key does not tell
	Reason       string        // a word
	Text         string
	Upload       events.UploadID
	At           time.Time // when it was found
	ModelVersion int       // of who found it
	Attempts     int
	TriedAt      time.Time
	RetryAsked   bool
}

// QuarantineFilter selects events of the quarantine.
type QuarantineFilter struct {
	Partition    events.Partition
	HasPartition bool // else of all
	Hosts        []events.HostID
	Limit        int
}

// RetryFilter says which events to retry.
type RetryFilter struct {
	Partition    events.Partition
	HasPartition bool   // else of all
	Key          string // of one event; "": all
}

// quarantine is what rest needs of the events that could not be folded. Both calls ask etcd and answer within
// ctx. Quarantined gives the newest first, at most Limit of them, and how many there are without Hosts and
// Limit. AskRetry leaves a request to the owners, tells for how many events, and waits for none of them;
// ErrNotQuarantined: the key is of no event there.
type quarantine interface {
	Quarantined(ctx context.Context, f QuarantineFilter) (list []Quarantined, total int, err error)
	AskRetry(ctx context.Context, f RetryFilter) (int, error)
}

// ErrNotQuarantined refuses to retry an event that is not in the quarantine.
var ErrNotQuarantined = errors.New("no event of that key is in the quarantine")

const (
	quarantineLimit   = 1000 // most that one answer lists
	quarantineDefault = 100
	quarantineTimeout = 5 * time.Second // for etcd to answer
)

// quarantined answers GET /api/v1/quarantine.
func (a *API) quarantined(c *fiber.Ctx) error {
	p, err := parameters(c, "partition", "host_id", "limit")
	if err != nil {
		return err
	}
	var f QuarantineFilter
	if f.Limit, err = p.limit(quarantineLimit, quarantineDefault); err != nil {
		return err
	}
	if f.Hosts, err = p.hosts(); err != nil {
		return err
	}
	if f.Partition, f.HasPartition, err = a.partition(p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), quarantineTimeout)
	defer cancel()
	list, total, err := a.quarantine.Quarantined(ctx, f)
	if err != nil {
		return quarantineAway(err)
	}
	w := good(512 * len(list))
	w.Open('[')
	for i := range list {
		w.quarantined(&list[i])
	}
	w.Close(']')
	if len(f.Hosts) > 0 {
		return w.finish(c, len(list))
	}
	return w.finishList(c, len(list), total)
}

// retryQuarantined answers POST /api/v1/quarantine/retry: the owners of the partitions are asked, and nobody
// is waited for.
func (a *API) retryQuarantined(c *fiber.Ctx) error {
	p, err := parameters(c, "partition", "key")
	if err != nil {
		return err
	}
	var f RetryFilter
	if f.Partition, f.HasPartition, err = a.partition(p); err != nil {
		return err
	}
	key, given := p.one("key")
	if given && key == "" {
		return badParameter("key", key, "the key of an event as the list gives it; leave it out to retry all")
	}
	f.Key = key
	ctx, cancel := context.WithTimeout(c.UserContext(), quarantineTimeout)
	defer cancel()
	asked, err := a.quarantine.AskRetry(ctx, f)
	if errors.Is(err, ErrNotQuarantined) {
		return &Error{http.StatusNotFound, NotFound, fmt.Sprintf("no event of key %q is in the quarantine; see /api/v1/quarantine", key), err}
	}
	if err != nil {
		return quarantineAway(err)
	}
	w := good(64)
	w.Open('{')
	w.Whole("asked", int64(asked))
	w.Close('}')
	c.Status(http.StatusAccepted)
	return w.finish(c, 1)
}

// partition reads the partition.
func (a *API) partition(p params) (events.Partition, bool, error) {
	text, given := p.one("partition")
	if !given {
		return 0, false, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= a.facts.Partitions {
		return 0, false, badParameter("partition", text, fmt.Sprintf("a whole number from 0 to %d", a.facts.Partitions-1))
	}
	return events.Partition(n), true, nil
}

// quarantineAway tells that the quarantine, unlike the view, is not there without etcd.
func quarantineAway(err error) error {
	return &Error{http.StatusServiceUnavailable, Unavailable, "the quarantine cannot be reached in etcd; try again in a moment", err}
}

func (w *writer) quarantined(q *Quarantined) {
	w.Open('{')
	w.Whole("partition", int64(q.Partition))
	w.Key("key")
	w.Str(q.Key)
	w.Text("revision", q.Revision.String())
	w.Text("hostname", string(q.Host))
	w.Key("reason")
	w.Str(q.Reason)
	w.Key("text")
	w.Str(q.Text)
	w.Text("upload_id", string(q.Upload))
	w.instant("at", q.At)
	w.Whole("model_version", int64(q.ModelVersion))
	w.Whole("attempts", int64(q.Attempts))
	w.instant("tried_at", q.TriedAt)
	w.Key("retry_asked")
	w.Raw(strconv.FormatBool(q.RetryAsked))
	w.Close('}')
}

// instant appends a member that is a time of ours, unless there is none.
func (w *writer) instant(name string, at time.Time) {
	if !at.IsZero() {
		w.Text(name, at.UTC().Format(time.RFC3339Nano))
	}
}

// good starts the envelope of a good answer that comes from etcd itself and not from the view.
func good(size int) *writer {
	w := &writer{JSONWriter: events.JSONWriter{Buf: make([]byte, 0, 256+size)}}
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	w.Key("data")
	return w
}
