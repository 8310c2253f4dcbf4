package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/access"
	"telemetry-pipeline/queryd/journal"
)

// eventReader reads the events of the log itself (journal.Journal).
type eventReader interface {
	Events(ctx context.Context, scope access.Scope, q journal.Query) (journal.Page, error)
	Event(ctx context.Context, scope access.Scope, key string) (events.Event, bool, error)
}

const (
	eventsDefault  = 100
	wholeDefault   = 10      // with records
	recordsPerPage = 100_000 // an answer ends with the event that reaches this number of records
	eventSize      = 1024    // approximate JSON bytes of an event without its records
	recordSize     = 160
)

// ServeLog makes the API serve /api/v1/events from the log. Call it before Routes.
func (a *API) ServeLog(j eventReader) { a.journal = j }

// serveEvents answers GET /api/v1/events.
func (a *API) serveEvents(c *fiber.Ctx) error {
	p, err := readParams(c, "key", "host_id", "gpu_id", "metric", "partition", "upload_id", "after", "before", "damaged", "records", "order", "limit", "cursor")
	if err != nil {
		return err
	}
	whole, err := p.parseBool("records")
	if err != nil {
		return err
	}
	ctx, cancel := a.historyContext(c)
	defer cancel()
	if key, given := p.singleValue("key"); given {
		return a.serveEvent(ctx, c, p, key, whole)
	}
	q, err := a.eventQuery(p, whole)
	if err != nil {
		return err
	}
	page, err := a.journal.Events(ctx, access.ScopeFrom(ctx), q)
	if err != nil {
		return logError(err)
	}
	return a.answerEvents(c, page, whole)
}

// serveEvent answers with the event of a key. A key cannot be combined with a filter.
func (a *API) serveEvent(ctx context.Context, c *fiber.Ctx, p params, key string, whole bool) error {
	for name := range p {
		if name != "key" && name != "records" {
			return badParameter("key", key, "the key of one event, and goes with records only, not with "+name)
		}
	}
	ev, found, err := a.journal.Event(ctx, access.ScopeFrom(ctx), key)
	if err != nil {
		return logError(err)
	}
	if !found {
		text := fmt.Sprintf("no event of key %q is in the log; it may have left for the archive", key)
		return &Error{Status: http.StatusNotFound, Code: NotFound, Text: text}
	}
	return a.answerEvents(c, journal.Page{Events: []events.Event{ev}}, whole)
}

// eventQuery parses the parameters of a list.
func (a *API) eventQuery(p params, whole bool) (q journal.Query, err error) {
	most, otherwise := journal.MaxLimit, eventsDefault
	if whole {
		most, otherwise, q.Records = eventsDefault, wholeDefault, recordsPerPage
	}
	if q.Limit, err = p.parseLimit(most, otherwise); err != nil {
		return q, err
	}
	if q.Oldest, err = p.parseOrder(); err != nil {
		return q, err
	}
	if q.Damaged, err = p.parseBool("damaged"); err != nil {
		return q, err
	}
	if q.Hosts, err = p.parseHosts(); err != nil {
		return q, err
	}
	if q.GPUs, err = p.parseGPUs(q.Hosts); err != nil {
		return q, err
	}
	if q.Metrics, err = p.parseMetrics(); err != nil {
		return q, err
	}
	if q.Partition, q.HasPartition, err = a.parsePartition(p); err != nil {
		return q, err
	}
	uploads, err := p.listValues("upload_id", "ids of uploads")
	if err != nil {
		return q, err
	}
	for _, id := range uploads {
		q.Uploads = append(q.Uploads, events.UploadID(id))
	}
	for name, to := range map[string]*events.Revision{"after": &q.After, "before": &q.Before} {
		if text, given := p.singleValue(name); given {
			if *to, err = a.revisionOf(name, text); err != nil {
				return q, err
			}
		}
	}
	cursor, _ := p.singleValue("cursor")
	q.Cursor = journal.Cursor(cursor)
	return q, nil
}

// parseBool parses a parameter that is true or false; the default is false.
func (p params) parseBool(name string) (bool, error) {
	switch text, given := p.singleValue(name); {
	case !given || text == "false":
		return false, nil
	case text == "true":
		return true, nil
	default:
		return false, badParameter(name, text, "true or false")
	}
}

// logError returns the answer for a failed read of the log.
func logError(err error) error {
	switch {
	case errors.Is(err, journal.ErrCursor):
		return &Error{http.StatusBadRequest, BadParameter, "parameter cursor: " + journal.ErrCursor.Error(), err}
	case errors.Is(err, events.ErrForeign):
		return &Error{http.StatusBadRequest, ForeignRevision, "parameter after or before: " + events.ErrForeign.Error(), err}
	default:
		return &Error{http.StatusServiceUnavailable, Unavailable, "the log cannot be read in etcd; try again in a moment", err}
	}
}

func (a *API) answerEvents(c *fiber.Ctx, page journal.Page, whole bool) error {
	size := eventSize * len(page.Events)
	for i := range page.Events {
		if whole {
			size += recordSize * page.Events[i].Records()
		}
	}
	w := a.beginStoredAnswer(size)
	w.Open('[')
	for i := range page.Events {
		a.writeEvent(w, &page.Events[i], whole)
	}
	w.Close(']')
	w.Text("next_cursor", string(page.Next))
	return w.finishAnswer(c, len(page.Events))
}

// writeEvent writes one event.
func (a *API) writeEvent(w *writer, ev *events.Event, whole bool) {
	w.openItem()
	w.Event(events.QueryNames, ev, events.FieldKey|events.Always, events.FieldRevision, events.FieldHost)
	if ev.Host != "" {
		w.Whole("partition", int64(events.PartitionOf(ev.Host, a.facts.Partitions)))
	}
	if damage, ok := errors.AsType[*events.DamageError](ev.Damage); ok {
		w.Event(events.QueryNames, ev, events.FieldDamage)
		w.Whole("value_bytes", int64(len(damage.Value)))
		w.Close('}')
		return
	}
	w.Event(events.QueryNames, ev, events.FieldAppendedAt, events.FieldUpload, events.FieldSequence|events.Always, events.FieldZone,
		events.FieldFirst, events.FieldLast, events.FieldRecords, events.FieldGPUs, events.FieldMetrics)
	if whole {
		w.eventRecords(ev)
	}
	w.Close('}')
}

// eventRecords writes an event's identities, and its records with the index of their identity.
func (w *writer) eventRecords(ev *events.Event) {
	w.Key("identities")
	w.Open('[')
	for i := range ev.Identities {
		id := &ev.Identities[i]
		w.Open('{')
		w.Identity(events.QueryNames, ev.Host, id, events.FieldGPU, events.FieldPart)
		w.writeIdentity(ev.Host, id)
		w.Close('}')
	}
	w.Close(']')
	w.Key("records")
	w.Open('[')
	for i := range ev.Columns {
		col := &ev.Columns[i]
		r := events.Record{Metric: col.Metric, Source: col.Source}
		for r.At, r.Value = range col.All() {
			w.Open('{')
			w.Record(events.QueryNames, &r, events.FieldAt)
			w.Whole("identity", int64(col.Identity))
			w.writeRecord(&r)
			w.Close('}')
		}
	}
	w.Close(']')
}

// revisionOf parses a position in the log: a token from an answer, or its number alone.
func (a *API) revisionOf(name, text string) (events.Revision, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return events.Revision{Epoch: a.facts.Epoch, Cluster: a.facts.Cluster, Number: n}, nil
	}
	rev, err := events.ParseRevision(text)
	if err != nil {
		return events.Revision{}, badParameter(name, text, "a revision from an answer, or its number")
	}
	return rev, nil
}
