package pipeline

import (
	"cmp"
	"context"
	"slices"

	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/rows"
)

// refuseExcess turns the records of a batch that are beyond a bound into rejections.
func (b *batch) refuseExcess(ctx context.Context, bound *bounds.File) {
	records := b.parsed.Records
	at, kept := 0, 0
	for i := range b.rows {
		row := &b.rows[i]
		for end := row.records; at < end; at++ {
			if refusal := bound.Admit(ctx, row.host, &records[at]); refusal != (bounds.Refusal{}) {
				b.parsed.Rejections = append(b.parsed.Rejections, rows.Rejection{
					Line: row.line, Column: records[at].Source, Text: rows.Excerpt([]byte(refusal.Text)), Reason: refusal.Reason,
				})
				continue
			}
			if kept != at {
				records[kept] = records[at]
			}
			kept++
		}
		row.records = kept
	}
	if kept == len(records) {
		return
	}
	b.parsed.Records = records[:kept]
	slices.SortStableFunc(b.parsed.Rejections, func(x, y rows.Rejection) int { return cmp.Compare(x.Line, y.Line) })
}
