package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// bigFiles are the flags with which our server takes large files and reads wait for them.
func bigFiles() []string {
	return []string{"-max-upload-size=314572800", "-rest.max-wait=2m", "-rest.timeout=2m"}
}

// arrival is how one file came into a server.
type arrival struct {
	acknowledged, visible time.Duration
	cpu                   time.Duration // until it was visible
	grown                 int64         // the peak of resident memory less the memory before
	peak                  int64
	etcd                  int64 // growth of what etcd uses
	records               int64
}

func (a *arrival) perRecord(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1e3 / float64(a.records)
}

// uploadOnce sends a file to our server and waits until it is visible.
func (r *run) uploadOnce(ctx context.Context, kind string, text []byte, records int64) (*arrival, error) {
	before, err := r.ours.Usage()
	if err != nil {
		return nil, err
	}
	size, err := r.ours.EtcdSize(ctx, r.client)
	if err != nil {
		return nil, err
	}
	if err := r.ours.ResetPeak(); err != nil {
		return nil, err
	}
	began := time.Now()
	answer, err := r.client.Post(ctx, r.ours.Uploads+"/api/v1/csv/upload", kind, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	out := &arrival{acknowledged: time.Since(began), records: records}
	var receipt struct {
		Accepted int64  `json:"accepted"`
		Revision string `json:"revision"`
	}
	if err := json.Unmarshal(answer, &receipt); err != nil {
		return nil, err
	}
	if receipt.Accepted != records {
		return nil, fmt.Errorf("%d of %d records were accepted: %.300s", receipt.Accepted, records, answer)
	}
	if _, err := r.client.Get(ctx, r.ours.Queries+"/api/v1/cluster?wait="+url.QueryEscape(receipt.Revision)); err != nil {
		return nil, err
	}
	out.visible = time.Since(began)
	after, err := r.ours.Usage()
	if err != nil {
		return nil, err
	}
	out.cpu, out.peak, out.grown = after.CPU-before.CPU, after.Peak, after.Peak-before.Resident
	now, err := r.ours.EtcdSize(ctx, r.client)
	out.etcd = now.InUse - size.InUse
	return out, err
}

// importOnce has VictoriaMetrics import the same and makes it visible.
func (r *run) importOnce(ctx context.Context, records int64, send func() error) (*arrival, error) {
	before, err := r.theirs.Usage()
	if err != nil {
		return nil, err
	}
	if err := r.theirs.ResetPeak(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := send(); err != nil {
		return nil, err
	}
	out := &arrival{acknowledged: time.Since(began), records: records}
	if err := r.theirs.flush(ctx, r.client); err != nil {
		return nil, err
	}
	out.visible = time.Since(began)
	after, err := r.theirs.Usage()
	out.cpu, out.peak, out.grown = after.CPU-before.CPU, after.Peak, after.Peak-before.Resident
	return out, err
}
