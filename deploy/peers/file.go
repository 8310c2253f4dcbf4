package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"telemetry-pipeline/deploy/fleet"
)

const fileGPUs = 256

// longColumns are the columns of the long form for VictoriaMetrics, which takes the metric's name as a label there.
const longColumns = "1:time:rfc3339,2:label:metric_name,3:label:gpu,4:label:device,5:label:uuid,6:label:modelName,7:label:Hostname,11:metric:reading"

// measureFile measures the upload of one large file of the long form, the same bytes to both servers.
func (r *run) measureFile(ctx context.Context) error {
	if err := r.startBoth(ctx, filepath.Join(r.dir, "file"), bigFiles()...); err != nil {
		return err
	}
	gpus := fleet.New(fileGPUs, 1)
	records := int64(fileGPUs * len(fleet.MetricNames()) * r.set.fileTimes)
	name := fmt.Sprintf("one file of the long form, %d rows", records)
	rate := figure{Name: name, Unit: "rows/s", Bound: bound{MinRatio: 1.3}, Note: "durable here, in memory there"}
	cpu := figure{Name: name + ": CPU per row until visible", Unit: "µs"}
	etcd := figure{Name: name + ": etcd in use afterwards, before compaction", Unit: "B/row", Note: "log and series together"}
	var stored []figure
	end := time.Now().UTC().Truncate(time.Hour)
	for round := range r.set.rounds {
		from := end.AddDate(0, 0, round-r.set.rounds)
		var times []time.Time
		for i := range r.set.fileTimes {
			times = append(times, from.Add(time.Duration(i)*10*time.Second))
		}
		var text bytes.Buffer
		if err := gpus.WriteLong(&text, times); err != nil {
			return err
		}
		ours, err := r.uploadOnce(ctx, "text/csv", text.Bytes(), records)
		if err != nil {
			return err
		}
		theirs, err := r.importOnce(ctx, records, func() error {
			return r.theirs.importRows(ctx, r.client, longColumns, text.Bytes())
		})
		if err != nil {
			return err
		}
		rate.add(float64(records)/ours.acknowledged.Seconds(), float64(records)/theirs.acknowledged.Seconds())
		cpu.add(ours.perRecord(ours.cpu), theirs.perRecord(theirs.cpu))
		etcd.Ours = append(etcd.Ours, float64(ours.etcd)/float64(records))
		if err := r.compareLong(ctx, gpus.GPU(round*37).UUID, from, times[len(times)-1]); err != nil {
			return err
		}
		cpu.Note = fmt.Sprintf("%.0f MB", float64(text.Len())/1e6)
		if round == 0 { // before the archive takes the first of them
			now, err := r.readEtcdBytes(ctx)
			if err != nil {
				return err
			}
			stored = now.figures(name, records, bound{Max: 6}, bound{Max: 2}, bound{})
		}
	}
	r.addFigures(rate, cpu, etcd)
	r.addFigures(stored...)
	return nil
}

// compareLong compares the readings of a GPU, whose metric's name is a label there.
func (r *run) compareLong(ctx context.Context, gpu string, from, last time.Time) error {
	return r.awaitEqual(ctx, gpu, from, fmt.Sprintf(`reading{uuid="%s"}`, gpu), from, last.Sub(from)+time.Millisecond)
}
