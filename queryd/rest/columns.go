package rest

import (
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// The values of the parameter form: a list of entries, or series with an array of times and one of values each.
const (
	entriesForm = "entries"
	columnsForm = "columns"
)

// wantsColumns reports whether an answer is asked for by series.
func (p params) wantsColumns(q *history.Query) (bool, error) {
	switch form, given := p.singleValue("form"); {
	case !given || form == entriesForm:
		return false, nil
	case form != columnsForm:
		return false, badParameter("form", form, entriesForm+" or "+columnsForm)
	}
	if order, given := p.singleValue("order"); given && !q.Oldest {
		return false, badParameter("order", order, "asc with form=columns: times ascend there")
	}
	return true, nil
}

// answerColumns answers with series.
func (a *API) answerColumns(c *fiber.Ctx, s *live.State, q history.Query, f form) error {
	ctx, cancel := a.historyContext(c)
	defer cancel()
	if f == asCSV {
		return a.answerTable(ctx, c, s, q)
	}
	w := a.beginSeries(s, f)
	out, count := columnWriter{writer: w, shown: q.ShownAggregates()}, 0
	next, err := a.past.Columns(ctx, s, q, func(all []history.Series) error {
		for i := range all {
			out.writeSeries(&all[i])
			if f == asNDJSON {
				w.Buf = append(w.Buf, '\n')
			}
		}
		count += len(all)
		return nil
	})
	if err != nil {
		return a.historyError(ctx, err)
	}
	if f == asJSON {
		w.Close(']')
		w.Text("next_cursor", string(next))
		w.writePlan(q.Plan, s)
		return w.finishAnswer(c, count)
	}
	if err := w.sendBody(c); err != nil {
		return err
	}
	a.setStreamHeader(c, s, f, next)
	return nil
}

// beginSeries begins an answer with series, as JSON or a line for each.
func (a *API) beginSeries(s *live.State, f form) *writer {
	if f != asJSON {
		return a.newWriter(0)
	}
	w := a.beginAnswer(s, 0)
	w.Open('[')
	return w
}

// columnWriter writes series.
type columnWriter struct {
	*writer
	shown func(metric string) []history.Aggregate

	times    []events.Timestamp // of the last series, and their text: the metrics of one GPU are mostly read together
	timeText []byte
}

// writeSeries writes a series as an object: where it is from, its metric, the array times in seconds since 1970, and the array
// values. An absent reading is null there, and absent says why.
func (w *columnWriter) writeSeries(s *history.Series) {
	w.openItem()
	w.writeEntity(s.Host, s.Entity, &s.Identity)
	w.Text("metric", s.Metric)
	if s.Starts == nil {
		w.writeTimeArray(s.Samples.Times)
		w.writeValueArray(&s.Samples)
	} else {
		w.writeTimeArray(s.Starts)
		w.writeSums(s)
	}
	w.Close('}')
}

// writeTimeArray writes the member times.
func (w *columnWriter) writeTimeArray(times []events.Timestamp) {
	w.Key("times")
	if len(w.timeText) == 0 || !slices.Equal(times, w.times) {
		w.timeText = append(w.timeText[:0], '[')
		for i, at := range times {
			if i > 0 {
				w.timeText = append(w.timeText, ',')
			}
			w.timeText = appendSeconds(w.timeText, at)
		}
		w.times, w.timeText = times, append(w.timeText, ']')
	}
	w.Buf = append(w.Buf, w.timeText...)
}

// appendSeconds appends an instant in seconds since 1970, with its own digits after the point.
func appendSeconds(dst []byte, at events.Timestamp) []byte {
	if seconds := int64(at) / int64(time.Second); seconds*int64(time.Second) == int64(at) {
		return strconv.AppendInt(dst, seconds, 10)
	}
	return events.NumberOf(int64(at), -9).Append(dst)
}

// writeValueArray writes the members values and absent.
func (w *columnWriter) writeValueArray(s *events.Samples) {
	w.Key("values")
	buf, absent := append(w.Buf, '['), s.Absent
	for i, m := range s.Mantissas {
		if i > 0 {
			buf = append(buf, ',')
		}
		switch {
		case len(absent) > 0 && absent[0].Row == i:
			buf, absent = append(buf, "null"...), absent[1:]
		case s.Exponents != nil:
			buf = events.NumberOf(m, s.Exponents[i]).Append(buf)
		case s.Exponent == 0:
			buf = strconv.AppendInt(buf, m, 10)
		default:
			buf = events.NumberOf(m, s.Exponent).Append(buf)
		}
	}
	w.Buf = append(buf, ']')
	if len(s.Absent) == 0 {
		return
	}
	w.Key("absent")
	w.Open('[')
	for _, a := range s.Absent {
		w.Open('{')
		w.Whole("row", int64(a.Row))
		w.Text("reason", a.Reason.String())
		w.Text("text", a.Raw)
		w.Close('}')
	}
	w.Close(']')
}

// writeSums writes the member values with the first aggregate that is shown, and aggregates with all of them if there are more.
func (w *columnWriter) writeSums(s *history.Series) {
	shown := w.shown(s.Metric)
	w.Key("values")
	w.writeAggregate(s, shown[0])
	if len(shown) == 1 {
		return
	}
	w.Key("aggregates")
	w.Open('{')
	for _, a := range shown {
		w.Key(string(a))
		w.writeAggregate(s, a)
	}
	w.Close('}')
}

func (w *columnWriter) writeAggregate(s *history.Series, a history.Aggregate) {
	w.writeNumberArray(len(s.Sums), func(i int) (events.Number, bool) { return s.Sums[i].Number(a) })
}

// writeNumberArray writes an array of n numbers, null where there is none.
func (w *columnWriter) writeNumberArray(n int, at func(i int) (events.Number, bool)) {
	buf := append(w.Buf, '[')
	for i := range n {
		if i > 0 {
			buf = append(buf, ',')
		}
		if n, ok := at(i); ok {
			buf = n.Append(buf)
		} else {
			buf = append(buf, "null"...)
		}
	}
	w.Buf = append(buf, ']')
}
