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
	"telemetry-pipeline/events/access"
)

// Quarantined is an event that could not be folded into the models, or not as a whole, or a summary of such events. The
// events stay in the log or the archive.
type Quarantined struct {
	Partition    events.Partition
	Key          string
	Revision     events.Revision
	Host         events.HostID // "" if the event's key has no host
	Reason       string        // one word
	Text         string
	Upload       events.UploadID
	At           time.Time // time of the quarantine
	ModelVersion int       // of the collector that quarantined it
	Attempts     int
	TriedAt      time.Time
	RetryAsked   bool
	Records      int  // that are not folded; 0: not known
	Partial      bool // the event's other records are folded

	// Of a summary, whose Key and Revision are the first event's.
	Events       int    // 0: it is no summary
	Entry        string // name of the entry in the partition's quarantine
	LastKey      string
	LastRevision events.Revision
}

// QuarantineFilter selects events of the quarantine.
type QuarantineFilter struct {
	Partition    events.Partition
	HasPartition bool // else all partitions
	Hosts        []events.HostID
	Limit        int
	Visible      func(events.HostID) bool // nil: all entries, also those without a host
}

// RetryFilter selects the events to retry.
type RetryFilter struct {
	Partition    events.Partition
	HasPartition bool                     // else all partitions
	Key          string                   // of one event; "": all events
	Visible      func(events.HostID) bool // as in QuarantineFilter
}

// quarantine is the store of events that could not be folded. Both methods ask etcd and return within ctx.
// Quarantined returns the newest entries first, at most Limit of them, and the number of visible events regardless of
// Hosts and Limit. RequestRetry leaves a request for the owners and returns the number of events, without waiting for a retry; it
// returns ErrNotQuarantined if no event there has the key, and ErrRetryRefused if this process may not leave a request.
type quarantine interface {
	Quarantined(ctx context.Context, f QuarantineFilter) (list []Quarantined, total int, err error)
	RequestRetry(ctx context.Context, f RetryFilter) (int, error)
}

// ErrNotQuarantined refuses to retry an event that is not in the quarantine.
var ErrNotQuarantined = errors.New("no event of that key is in the quarantine")

// ErrRetryRefused refuses a retry because this process has no right to request it.
var ErrRetryRefused = errors.New("this query server may only read in etcd")

const (
	quarantineLimit   = 1000 // maximum of one answer
	quarantineDefault = 100
	quarantineTimeout = 5 * time.Second // for etcd to answer
)

// serveQuarantine answers GET /api/v1/quarantine.
func (a *API) serveQuarantine(c *fiber.Ctx) error {
	p, err := readParams(c, "partition", "host_id", "limit")
	if err != nil {
		return err
	}
	f := QuarantineFilter{Visible: access.ScopeFrom(c.UserContext()).HostFilter()}
	if f.Limit, err = p.parseLimit(quarantineLimit, quarantineDefault); err != nil {
		return err
	}
	if f.Hosts, err = p.parseHosts(); err != nil {
		return err
	}
	if f.Partition, f.HasPartition, err = a.parsePartition(p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), quarantineTimeout)
	defer cancel()
	list, total, err := a.quarantine.Quarantined(ctx, f)
	if err != nil {
		return quarantineError(err)
	}
	w := a.beginStoredAnswer(512 * len(list))
	w.Open('[')
	for i := range list {
		w.writeQuarantined(&list[i])
	}
	w.Close(']')
	if len(f.Hosts) > 0 {
		return w.finishAnswer(c, len(list))
	}
	return w.finishList(c, len(list), total)
}

// retryQuarantined answers POST /api/v1/quarantine/retry: it asks the owners of the partitions and does not wait for
// them.
func (a *API) retryQuarantined(c *fiber.Ctx) error {
	p, err := readParams(c, "partition", "key")
	if err != nil {
		return err
	}
	f := RetryFilter{Visible: access.ScopeFrom(c.UserContext()).HostFilter()}
	if f.Partition, f.HasPartition, err = a.parsePartition(p); err != nil {
		return err
	}
	key, given := p.singleValue("key")
	if given && key == "" {
		return badParameter("key", key, "the key of an event from the list; leave it out to retry all")
	}
	f.Key = key
	ctx, cancel := context.WithTimeout(c.UserContext(), quarantineTimeout)
	defer cancel()
	asked, err := a.quarantine.RequestRetry(ctx, f)
	if errors.Is(err, ErrNotQuarantined) {
		return &Error{http.StatusNotFound, NotFound, fmt.Sprintf("no event of key %q is in the quarantine; see /api/v1/quarantine", key), err}
	}
	if errors.Is(err, ErrRetryRefused) {
		return &Error{http.StatusServiceUnavailable, Unavailable,
			"this query server may only read in etcd, so it cannot request a retry: `collectd access` grants its user the right (docs/runbooks/etcd-access.md)", err}
	}
	if err != nil {
		return quarantineError(err)
	}
	w := a.beginStoredAnswer(64)
	w.Open('{')
	w.Whole("asked", int64(asked))
	w.Close('}')
	c.Status(http.StatusAccepted)
	return w.finishAnswer(c, 1)
}

// parsePartition parses the parameter partition.
func (a *API) parsePartition(p params) (events.Partition, bool, error) {
	text, given := p.singleValue("partition")
	if !given {
		return 0, false, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= a.facts.Partitions {
		return 0, false, badParameter("partition", text, fmt.Sprintf("a whole number from 0 to %d", a.facts.Partitions-1))
	}
	return events.Partition(n), true, nil
}

// quarantineError returns the answer for a failed call: unlike the view, the quarantine is unavailable without etcd.
func quarantineError(err error) error {
	return &Error{http.StatusServiceUnavailable, Unavailable, "the quarantine cannot be reached in etcd; try again in a moment", err}
}

func (w *writer) writeQuarantined(q *Quarantined) {
	w.openItem()
	w.Whole("partition", int64(q.Partition))
	w.Key("key")
	w.StringValue(q.Key)
	w.Text("revision", q.Revision.String())
	w.Text("hostname", string(q.Host))
	w.Key("reason")
	w.StringValue(q.Reason)
	w.Key("text")
	w.StringValue(q.Text)
	w.Text("upload_id", string(q.Upload))
	w.writeInstant("at", q.At)
	w.Whole("model_version", int64(q.ModelVersion))
	w.Whole("attempts", int64(q.Attempts))
	w.writeInstant("tried_at", q.TriedAt)
	w.Key("retry_asked")
	w.Raw(strconv.FormatBool(q.RetryAsked))
	if q.Records > 0 {
		w.Whole("records", int64(q.Records))
	}
	if q.Partial {
		w.Key("partial")
		w.Raw("true")
	}
	if q.Events > 0 {
		w.Whole("events", int64(q.Events))
		w.Text("entry", q.Entry)
		w.Text("last_key", q.LastKey)
		w.Text("last_revision", q.LastRevision.String())
	}
	w.Close('}')
}

// writeInstant appends a member with a server time, unless the time is zero.
func (w *writer) writeInstant(name string, at time.Time) {
	if !at.IsZero() {
		w.Text(name, at.UTC().Format(time.RFC3339Nano))
	}
}

// beginStoredAnswer starts the envelope of a successful answer that comes from etcd instead of the view.
func (a *API) beginStoredAnswer(size int) *writer {
	w := &writer{JSONWriter: events.JSONWriter{Buf: make([]byte, 0, 256+size)}, cluster: a.cluster}
	w.Open('{')
	w.Key("success")
	w.Raw("true")
	w.Key("data")
	return w
}
