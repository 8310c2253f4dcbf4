package pipeline

import (
	"cmp"
	"context"
	"slices"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/ingestd/rows"
)

// refuseExcess turns the records of a batch that their sender may not send, or that are beyond a bound, into rejections.
func (b *batch) refuseExcess(ctx context.Context, allowed *permission, bound *bounds.File) {
	records := b.parsed.Records
	at, kept := 0, 0
	for i := range b.rows {
		row := &b.rows[i]
		end := row.records
		if reason := allowed.refuseHost(row.host); reason != "" {
			b.refuseRow(row, end > at, reason)
			at = end
		}
		for ; at < end; at++ {
			if refusal := refuseRecord(ctx, allowed, bound, row.host, &records[at]); refusal != (bounds.Refusal{}) {
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

// refuseRow rejects a row of a host; it is part of no event then. A row whose records were rejected already is not rejected again.
func (b *batch) refuseRow(row *rowResult, hasRecords bool, reason string) {
	if hasRecords {
		b.parsed.Rejections = append(b.parsed.Rejections, rows.Rejection{Line: row.line, Text: rows.Excerpt([]byte(row.host)), Reason: reason})
	}
	row.host = ""
}

// refuseRecord returns the reason to refuse a record, or the zero Refusal, and then the record counts.
func refuseRecord(ctx context.Context, allowed *permission, bound *bounds.File, host events.HostID, r *events.Record) bounds.Refusal {
	if refusal := allowed.refuseNamespace(host, r.Identity); refusal != (bounds.Refusal{}) {
		return refusal
	}
	return bound.Admit(ctx, host, r)
}
