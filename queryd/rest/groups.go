package rest

import (
	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/live"
)

// parseGroup returns the grouping that is asked for, and whether one is.
func (p params) parseGroup() (by history.Grouping, grouped bool, err error) {
	text, given := p.singleValue("group")
	if !given {
		return by, false, nil
	}
	if by, err = history.ParseGrouping(text); err != nil {
		return by, false, badParameter("group", text, history.GroupingSyntax)
	}
	if form, _ := p.singleValue("form"); form != columnsForm {
		return by, false, badParameter("group", text, "form=columns beside it: groups are answered as series")
	}
	if _, stepped := p.singleValue("step"); !stepped {
		return by, false, badParameter("group", text, "a step beside it, such as step=1h")
	}
	if cursor, _ := p.singleValue("cursor"); cursor != "" {
		return by, false, badParameter("cursor", cursor, "no value beside group: an answer with groups has no pages")
	}
	return by, true, nil
}

// answerGroups answers with the series of groups.
func (a *API) answerGroups(c *fiber.Ctx, s *live.State, q history.Query, by history.Grouping, f form) error {
	if f == asCSV {
		return badParameter("format", "csv", "json or ndjson with group")
	}
	ctx, cancel := a.historyContext(c)
	defer cancel()
	groups, err := a.past.Groups(ctx, s, q, by)
	if err != nil {
		return a.historyError(ctx, err)
	}
	w := a.beginSeries(s, f)
	out := columnWriter{writer: w}
	for i := range groups {
		out.writeGroup(&groups[i], q.Aggregates)
		if f == asNDJSON {
			w.Buf = append(w.Buf, '\n')
		}
	}
	if f == asJSON {
		w.Close(']')
		w.writePlan(q.Plan, s)
		return w.finishAnswer(c, len(groups))
	}
	if err := w.sendBody(c); err != nil {
		return err
	}
	a.setStreamHeader(c, s, f, "")
	return nil
}

// writeGroup writes the series of a group.
func (w *columnWriter) writeGroup(g *history.GroupSeries, shown []history.Aggregate) {
	if len(shown) == 0 {
		shown = []history.Aggregate{history.Avg}
	}
	w.openItem()
	w.Text("group", g.Group)
	w.Text("metric", g.Metric)
	w.Whole("members", int64(g.Members))
	w.writeTimeArray(g.Starts)
	w.Key("values")
	w.writeGroupAggregate(g, shown[0])
	if len(shown) > 1 {
		w.Key("aggregates")
		w.Open('{')
		for _, a := range shown {
			w.Key(string(a))
			w.writeGroupAggregate(g, a)
		}
		w.Close('}')
	}
	w.Close('}')
}

func (w *columnWriter) writeGroupAggregate(g *history.GroupSeries, a history.Aggregate) {
	w.writeNumberArray(len(g.Sums), func(i int) (events.Number, bool) { return g.Sums[i].Number(a) })
}
