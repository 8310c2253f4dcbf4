package history

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// reportRow is a row of readings as a source sends it.
type reportRow struct {
	host    events.HostID
	id      events.Identity
	at      events.Timestamp
	records []events.Record
}

// worldGPUs is the number of GPUs of each host. The first one of host-0 is also on others now and then.
const worldGPUs = 3

func worldHost(n int) events.HostID { return events.HostID(fmt.Sprintf("host-%d", n)) }

func worldGPU(host, index int) events.Identity {
	return events.Identity{UUID: fmt.Sprintf("GPU-w%d-%d", host, index), Index: fmt.Sprint(index)}
}

// exchange is when the GPU in the last slot of each host is exchanged.
var exchange = timeAt(3, 0)

// slotGPU returns the identity of the GPU that has the last slot of a host at a time.
func slotGPU(host int, at events.Timestamp) events.Identity {
	id := worldGPU(host, worldGPUs)
	if at >= exchange {
		id.UUID = worldGPU(host, worldGPUs+1).UUID
	}
	return id
}

// identity returns the identity of a GPU as a random source names it.
func (w *world) identity(r *rand.Rand, host, index int) events.Identity {
	id := worldGPU(host, index)
	if index > 0 && r.IntN(5) == 0 {
		id.UUID = "" // no other GPU ever has the index
	} else {
		id.Model = []string{"H100", "A100", ""}[index]
		if index == 1 && w.lateName && !w.modelled {
			id.Model = ""
		}
	}
	if r.IntN(8) == 0 {
		id.Part = "mig:1"
	}
	return id
}

// addWorkload adds the fields by which groups may be made.
func addWorkload(r *rand.Rand, id events.Identity) events.Identity {
	if id.Pod = []string{"", "pod-a", "pod-b"}[r.IntN(3)]; id.Pod != "" {
		id.Namespace = "ns-" + id.Pod
	}
	if r.IntN(2) == 0 {
		id.Labels = []events.Label{{Name: "job", Value: []string{"x", "y"}[r.IntN(2)]}}
	}
	return id
}

// The metrics of random records; energy is a counter, and load is of the host.
const (
	energy = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
	load   = "node_load"
)

func randomRecord(r *rand.Rand, metric string) events.Record {
	rec := events.Record{Metric: metric, Source: metric, Value: events.Value{Number: events.NumberOf(int64(r.IntN(40)-5), int16(-r.IntN(3)))}}
	switch r.IntN(25) {
	case 0:
		rec.Value = events.Value{Absent: events.Blank}
	case 1:
		rec.Value = events.Value{Absent: events.NotSupported, Raw: "N/A"}
	case 2:
		rec.Value = events.Value{Absent: events.Implausible, Raw: "1e30"}
	case 3:
		rec.Value.Number = events.NumberOf(int64(r.IntN(1e9)), 3)
	case 4:
		rec.Source = "other_name"
	}
	return rec
}

func plainRecord(value int) events.Record {
	return events.Record{Metric: power, Source: power, Value: events.Value{Number: events.Int(int64(value))}}
}

func timeAt(hour int, d time.Duration) events.Timestamp {
	return start + events.Timestamp(time.Duration(hour)*time.Hour+d)
}

// appendRows appends rows of the newest hours.
func (w *world) appendRows(ctx context.Context, r *rand.Rand) (string, error) {
	switch {
	case w.hour == 0:
		w.hour = 1
	case r.IntN(8) == 0:
		w.hour += 20 + r.IntN(10)
	default:
		w.hour += r.IntN(2)
	}
	w.modelled = w.modelled || r.IntN(6) == 0
	return w.send(ctx, r, w.randomRows(r, w.hour))
}

// appendLate appends rows of an earlier hour.
func (w *world) appendLate(ctx context.Context, r *rand.Rand) (string, error) {
	return w.send(ctx, r, w.randomRows(r, 1+r.IntN(w.hour+1)))
}

// appendAgain appends rows that were sent before, among new ones or by themselves.
func (w *world) appendAgain(ctx context.Context, r *rand.Rand) (string, error) {
	var rows []reportRow
	others, first, run := r.IntN(2) == 0, r.IntN(len(w.rows)), r.IntN(2) == 0
	for i := range 40 {
		row := w.rows[r.IntN(len(w.rows))]
		if run { // rows that follow each other
			row = w.rows[(first+i)%len(w.rows)]
		}
		if row.records = slices.Clone(row.records); others { // with other values of the same times
			for i := range row.records {
				row.records[i] = randomRecord(r, row.records[i].Metric)
			}
		}
		rows = append(rows, row)
	}
	if r.IntN(2) == 0 {
		rows = append(rows, w.randomRows(r, 1+r.IntN(w.hour+1))...)
	}
	return w.send(ctx, r, rows)
}

// randomRows returns rows of a host, of one of several shapes: a stream of scrapes, many readings of few minutes, or
// few over an hour.
func (w *world) randomRows(r *rand.Rand, hour int) (rows []reportRow) {
	n := r.IntN(5)
	host := worldHost(n)
	if !slices.ContainsFunc(w.rows, func(row reportRow) bool { return row.host == host }) {
		for i := range worldGPUs { // the first records name all GPUs
			id := worldGPU(n, i)
			if id.Model = []string{"H100", "A100", ""}[i]; i == 1 && w.lateName {
				id.Model = ""
			}
			rows = append(rows, reportRow{host, id, start, []events.Record{plainRecord(i)}})
		}
		rows = append(rows, reportRow{host, slotGPU(n, start), start, []events.Record{plainRecord(3)}})
		rows = append(rows, reportRow{host, slotGPU(n, exchange), exchange, []events.Record{plainRecord(4)}})
	}
	add := func(id events.Identity, at events.Timestamp, metrics ...string) {
		row := reportRow{host: host, id: id, at: at}
		for _, m := range metrics {
			row.records = append(row.records, randomRecord(r, m))
		}
		rows = append(rows, row)
	}
	switch r.IntN(5) {
	case 0: // scrapes
		every, at := time.Duration(5+r.IntN(60))*time.Second, time.Duration(r.IntN(50))*time.Minute
		var ids []events.Identity
		for i := range worldGPUs {
			ids = append(ids, addWorkload(r, w.identity(r, n, i)))
		}
		for tick := range time.Duration(5 + r.IntN(25)) {
			for _, id := range ids {
				add(id, timeAt(hour, at+tick*every), util, power)
			}
			add(events.Identity{}, timeAt(hour, at+tick*every), load)
		}
	case 1: // many readings
		id, at, metric := w.identity(r, n, r.IntN(worldGPUs)), time.Duration(r.IntN(58))*time.Minute, []string{util, energy}[r.IntN(2)]
		if r.IntN(2) == 0 {
			id = addWorkload(r, id)
		}
		for range 150 {
			add(id, timeAt(hour, at+time.Duration(r.IntN(120))*time.Second), metric)
		}
	case 2: // few readings
		for range 15 {
			at := time.Duration(r.Int64N(int64(time.Hour)))
			if r.IntN(2) == 0 {
				at = at.Truncate(10 * time.Minute)
			}
			add(w.identity(r, n, r.IntN(worldGPUs)), timeAt(hour, at), []string{util, power, energy}[r.IntN(3)])
		}
	case 3: // the last slot, often by its index alone
		for range 15 {
			at := timeAt(hour, time.Duration(r.Int64N(int64(time.Hour))))
			id := slotGPU(n, at)
			if r.IntN(2) == 0 {
				id.UUID = ""
			}
			add(id, at, []string{util, power}[r.IntN(2)])
		}
	case 4: // a part, and a GPU that is elsewhere too
		id := worldGPU(0, 0)
		id.Model = "H100"
		for minute := range time.Duration(10) {
			add(id, timeAt(hour, minute*time.Minute), power)
			part := w.identity(r, n, 2)
			part.Part = "mig:2"
			add(part, timeAt(hour, minute*time.Minute), []string{util, "part_metric"}[r.IntN(2)])
		}
	}
	return rows
}

// send appends rows as an upload of their own.
func (w *world) send(ctx context.Context, r *rand.Rand, rows []reportRow) (string, error) {
	facts := w.log.Facts()
	facts.Cut.EventRecords = 10 + r.IntN(100)
	cut := events.NewCutter(facts.Cut, events.UploadID(fmt.Sprintf("upload-%d", len(w.notes))), "")
	var evs []events.Event
	records := 0
	for _, row := range rows {
		sent := slices.Clone(row.records)
		id := row.id
		for i := range sent {
			sent[i].Identity, sent[i].At = &id, row.at
			sent[i].Text = sent[i].Value.Number.Append(nil)
		}
		evs = append(evs, cut.Row(row.host, 100, sent)...)
		p := events.PartitionOf(row.host, worldPartitions)
		w.pending[p] = append(w.pending[p], readingsOf(row)...)
		records += len(sent)
	}
	w.rows = append(w.rows, rows...)
	evs = append(evs, cut.Flush()...)
	_, err := w.log.Append(ctx, evs)
	return fmt.Sprintf("%d records in %d events, hour %d", records, len(evs), w.hour), err
}
