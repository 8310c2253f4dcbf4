package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/journal"
)

// journalist tells the events of the log itself (journal.Journal).
type journalist interface {
	Events(ctx context.Context, q journal.Query) (journal.Page, error)
	Event(ctx context.Context, key string) (events.Event, bool, error)
}

const (
	eventsDefault  = 100
	wholeDefault   = 10      // with records
	recordsPerPage = 100_000 // an answer ends behind the event with which it has so many
	eventSize      = 1024    // about how many bytes the JSON of an event takes without its records
	recordSize     = 160
)

// ServeLog has /api/v1/events answered from the log. Call it before Routes.
func (a *API) ServeLog(j journalist) { a.journal = j }

// events answers GET /api/v1/events.
func (a *API) events(c *fiber.Ctx) error {
	p, err := parameters(c, "key", "host_id", "gpu_id", "metric", "partition", "upload_id", "after", "before", "damaged", "records", "order", "limit", "cursor")
	if err != nil {
		return err
	}
	whole, err := p.truth("records")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), a.cfg.Timeout)
	defer cancel()
	if key, given := p.one("key"); given {
		return a.event(ctx, c, p, key, whole)
	}
	q, err := a.eventQuery(p, whole)
	if err != nil {
		return err
	}
	page, err := a.journal.Events(ctx, q)
	if err != nil {
		return logAway(err)
	}
	return a.answerEvents(c, page, whole)
}

// event answers with the one event of a key, which no filter goes with.
func (a *API) event(ctx context.Context, c *fiber.Ctx, p params, key string, whole bool) error {
	for name := range p {
		if name != "key" && name != "records" {
			return badParameter("key", key, "the key of one event, and goes with records only, not with "+name)
		}
	}
	ev, found, err := a.journal.Event(ctx, key)
	if err != nil {
		return logAway(err)
	}
	if !found {
		text := fmt.Sprintf("no event of key %q is in the log; it may have left for the archive", key)
		return &Error{Status: http.StatusNotFound, Code: NotFound, Text: text}
	}
	return a.answerEvents(c, journal.Page{Events: []events.Event{ev}}, whole)
}

// eventQuery reads the parameters of a list.
func (a *API) eventQuery(p params, whole bool) (q journal.Query, err error) {
	most, otherwise := journal.MaxLimit, eventsDefault
	if whole {
		most, otherwise, q.Records = eventsDefault, wholeDefault, recordsPerPage
	}
	if q.Limit, err = p.limit(most, otherwise); err != nil {
		return q, err
	}
	if q.Oldest, err = p.oldest(); err != nil {
		return q, err
	}
	if q.Damaged, err = p.truth("damaged"); err != nil {
		return q, err
	}
	if q.Hosts, err = p.hosts(); err != nil {
		return q, err
	}
	if q.GPUs, err = p.gpus(q.Hosts); err != nil {
		return q, err
	}
	if q.Metrics, err = p.metrics(); err != nil {
		return q, err
	}
	if q.Partition, q.HasPartition, err = a.partition(p); err != nil {
		return q, err
	}
	uploads, err := p.list("upload_id", "ids of uploads")
	if err != nil {
		return q, err
	}
	for _, id := range uploads {
		q.Uploads = append(q.Uploads, events.UploadID(id))
	}
	for name, to := range map[string]*events.Revision{"after": &q.After, "before": &q.Before} {
		if text, given := p.one(name); given {
			if *to, err = a.revisionOf(name, text); err != nil {
				return q, err
			}
		}
	}
	cursor, _ := p.one("cursor")
	q.Cursor = journal.Cursor(cursor)
	return q, nil
}

// truth reads a parameter that is true or false; left out it is false.
func (p params) truth(name string) (bool, error) {
	switch text, given := p.one(name); {
	case !given || text == "false":
		return false, nil
	case text == "true":
		return true, nil
	default:
		return false, badParameter(name, text, "true or false")
	}
}

// logAway tells what became of a question to the log.
func logAway(err error) error {
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
	w := good(size)
	w.open('[')
	for i := range page.Events {
		a.writeEvent(w, &page.Events[i], whole)
	}
	w.close(']')
	w.text("next_cursor", string(page.Next))
	return w.finish(c, len(page.Events))
}

// writeEvent writes one event.
func (a *API) writeEvent(w *writer, ev *events.Event, whole bool) {
	w.open('{')
	w.key("key")
	w.str(ev.Key)
	w.text("revision", ev.Revision.String())
	if ev.Host != "" {
		w.text("host_id", string(ev.Host))
		w.whole("partition", int64(events.PartitionOf(ev.Host, a.facts.Partitions)))
	}
	if damage, ok := errors.AsType[*events.DamageError](ev.Damage); ok {
		w.text("damage", damage.Cause.Error())
		w.whole("value_bytes", int64(len(damage.Value)))
		w.close('}')
		return
	}
	if ev.AppendedAt != 0 {
		w.time("appended_at", ev.AppendedAt)
	}
	w.text("upload_id", string(ev.Upload))
	w.text("sequence", ev.Sequence.String())
	w.text("assumed_zone", ev.Zone)
	if first, last, any := spanOf(ev); any {
		w.time("first_timestamp", first)
		w.time("last_timestamp", last)
	}
	w.whole("record_count", int64(ev.Records()))
	w.strings("gpu_ids", gpusOf(ev))
	w.strings("metrics", metricsOf(ev))
	if whole {
		w.eventRecords(ev)
	}
	w.close('}')
}

// spanOf gives the first and the last record time.
func spanOf(ev *events.Event) (first, last events.Timestamp, any bool) {
	for i := range ev.Columns {
		times := ev.Columns[i].Times
		if len(times) == 0 {
			continue
		}
		if !any {
			first, last, any = times[0], times[0], true
		}
		first, last = min(first, times[0]), max(last, times[len(times)-1])
	}
	return first, last, any
}

// gpusOf gives the ids of the GPUs that an event has readings of, sorted.
func gpusOf(ev *events.Event) []string {
	var ids []string
	for i := range ev.Identities {
		if gpu := ev.Identities[i].Entity(ev.Host).GPU; gpu != "" {
			ids = append(ids, string(gpu))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// metricsOf gives the metrics that an event has readings of, sorted.
func metricsOf(ev *events.Event) []string {
	names := make([]string, len(ev.Columns))
	for i := range ev.Columns {
		names[i] = ev.Columns[i].Metric
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// strings appends a member that is a list.
func (w *writer) strings(name string, list []string) {
	w.key(name)
	w.open('[')
	for _, s := range list {
		w.str(s)
	}
	w.close(']')
}

// eventRecords writes an event's identities, and its records with the place of theirs among these.
func (w *writer) eventRecords(ev *events.Event) {
	w.key("identities")
	w.open('[')
	for i := range ev.Identities {
		id := &ev.Identities[i]
		w.open('{')
		w.text("id", string(id.Entity(ev.Host).GPU))
		w.text("part", id.Part)
		w.identity(ev.Host, id)
		w.close('}')
	}
	w.close(']')
	w.key("records")
	w.open('[')
	for i := range ev.Columns {
		col := &ev.Columns[i]
		for at, v := range col.All() {
			w.open('{')
			w.time("timestamp", at)
			w.whole("identity", int64(col.Identity))
			w.text("metric", col.Metric)
			w.text("source", col.Source)
			if v.Absent == events.Present {
				w.number("value", v.Number)
			} else {
				w.text("absent", v.Absent.String())
				w.text("absent_text", v.Raw)
			}
			w.close('}')
		}
	}
	w.close(']')
}

// revisionOf reads a position in the log: a token as answers give it, or its number alone.
func (a *API) revisionOf(name, text string) (events.Revision, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return events.Revision{Epoch: a.facts.Epoch, Cluster: a.facts.Cluster, Number: n}, nil
	}
	rev, err := events.ParseRevision(text)
	if err != nil {
		return events.Revision{}, badParameter(name, text, "a revision as an answer gives it, or its number")
	}
	return rev, nil
}
