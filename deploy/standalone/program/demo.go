package program

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"time"

	"telemetry-pipeline/deploy/fleet"
)

// demo plays a small simulated fleet into an upload endpoint, the way an exporter's owner would: half an
// hour of history at first, then every sample as it comes.
type demo struct {
	url   string // of the upload server
	token string // "" in open mode
	http  *http.Client
	fleet *fleet.Fleet
	lg    *slog.Logger
}

const (
	demoHosts       = 4
	demoSeed        = 7
	demoHistory     = 30 * time.Minute
	demoHistoryStep = 15 * time.Second
	demoStep        = 2 * time.Second
)

func newDemo(url, token string, own *tls.Config, lg *slog.Logger) *demo {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: own}}
	return &demo{url: url, token: token, http: client, fleet: fleet.New(demoHosts*fleet.GPUsPerHost, demoSeed), lg: lg}
}

// playFleet uploads until ctx ends. An upload that fails is logged and not repeated: the next sample follows.
func (d *demo) playFleet(ctx context.Context) error {
	now := time.Now().Truncate(time.Second)
	var past []time.Time
	for at := now.Add(-demoHistory); at.Before(now); at = at.Add(demoHistoryStep) {
		past = append(past, at)
	}
	d.tryUpload(ctx, "history.csv", past)
	tick := time.NewTicker(demoStep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-tick.C:
			d.tryUpload(ctx, "sample.csv", []time.Time{at.Truncate(time.Second)})
		}
	}
}

func (d *demo) tryUpload(ctx context.Context, name string, times []time.Time) {
	if err := d.uploadFile(ctx, name, times); err != nil && ctx.Err() == nil {
		d.lg.Warn("demo upload failed", "err", err)
	}
}

func (d *demo) uploadFile(ctx context.Context, name string, times []time.Time) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	if err := d.fleet.WriteLong(part, times); err != nil {
		return err
	}
	if err := form.Close(); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/v1/csv/upload", &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("uploading %s: %s: %s", name, resp.Status, text)
	}
	return err
}
