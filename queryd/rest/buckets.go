package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// parseStep parses the parameters step and agg.
func (p params) parseStep(q *history.Query) (err error) {
	names, err := p.listValues("agg", history.AggregatesSyntax())
	if err != nil {
		return err
	}
	if text, given := p.singleValue("step"); given {
		if q.Step, err = history.ParseStep(text); err != nil {
			return badParameter("step", text, history.StepSyntax)
		}
	}
	if _, grouped := p.singleValue("group"); grouped {
		q.Aggregates, err = history.ParseGroupAggregates(names)
	} else {
		q.Aggregates, err = history.ParseAggregates(names, q.Step)
	}
	if err != nil {
		text := fmt.Sprintf("parameter agg=%q: %v", strings.Join(names, ","), err)
		return &Error{Status: http.StatusBadRequest, Code: BadParameter, Text: text}
	}
	return nil
}

// answerBuckets answers with a page of buckets.
func (a *API) answerBuckets(c *fiber.Ctx, s *live.State, q history.Query, page history.BucketPage) error {
	size := 0
	if len(page.Buckets) > 0 {
		size = len(page.Buckets) * (384 + 64*len(page.Buckets[0].Metrics)*(1+max(len(q.Aggregates), 1)))
	}
	w := a.beginAnswer(s, size)
	w.Open('[')
	out := bucketWriter{writer: w, names: a.names, shown: q.ShownAggregates()}
	for i := range page.Buckets {
		out.writeBucket(&page.Buckets[i])
	}
	w.Close(']')
	w.Text("next_cursor", string(page.Next))
	w.writePlan(q.Plan, s)
	return w.finishAnswer(c, len(page.Buckets))
}

// bucketWriter writes buckets.
type bucketWriter struct {
	*writer
	names namedFields
	shown func(metric string) []history.Aggregate
	buf   []projections.Latest
}

// writeBucket writes a bucket as an entry: metrics and the named fields hold the first requested aggregate of each
// metric, aggregates holds all of them.
func (w *bucketWriter) writeBucket(b *history.Bucket) {
	w.openItem()
	w.Time("timestamp", b.At)
	w.writeEntity(b.Host, b.Entity, &b.Identity)
	w.buf = w.buf[:0]
	for i := range b.Metrics {
		m := &b.Metrics[i]
		if n, ok := m.Number(w.shown(m.Metric)[0]); ok {
			w.buf = append(w.buf, projections.Latest{Metric: m.Metric, Value: events.Value{Number: n}})
		}
	}
	w.writeReadings(w.names, w.buf, false)
	w.Key("aggregates")
	w.Open('{')
	for _, a := range history.Aggregates() {
		w.writeAggregate(b, a)
	}
	w.Close('}')
	w.Close('}')
}

// writeAggregate writes one aggregate of the metrics for which it is requested, unless there is no value.
func (w *bucketWriter) writeAggregate(b *history.Bucket, a history.Aggregate) {
	open := false
	for i := range b.Metrics {
		m := &b.Metrics[i]
		if !slices.Contains(w.shown(m.Metric), a) {
			continue
		}
		n, ok := m.Number(a)
		if !ok {
			continue
		}
		if !open {
			w.Key(string(a))
			w.Open('{')
			open = true
		}
		w.Number(m.Metric, n)
	}
	if open {
		w.Close('}')
	}
}
