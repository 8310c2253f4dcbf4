package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"telemetry-pipeline/events/wait"
)

// reader asks one queryd for the newest readings, over and over.
type reader struct {
	name, base string

	mu       sync.Mutex
	good     []time.Time // of good answers
	bad      map[string]int
	wrong    []string
	answered map[reading]string // everything that was ever answered
}

const (
	readPace    = 250 * time.Millisecond
	readTimeout = 3 * time.Second
)

func newReaders(c *cluster) []*reader {
	var all []*reader
	for _, d := range c.processesOf("queryd") {
		all = append(all, &reader{name: d.name, base: d.base, bad: map[string]int{}, answered: map[reading]string{}})
	}
	return all
}

// newest is a GPU in an answer of GET /api/v1/gpus.
type newest struct {
	ID      string
	Metrics map[string]json.Number
	Absent  map[string]string
	Times   map[string]time.Time `json:"metric_times"`
}

// readAnswers asks until ctx ends. The time of a GPU's metric must never go back, whichever process answers: every queryd
// loads at the newest revision and only moves on from there.
func (r *reader) readAnswers(ctx context.Context) {
	client := &http.Client{Timeout: readTimeout}
	times := map[cell]time.Time{}
	for wait.Sleep(ctx, readPace) {
		gpus, err := getGPUs(ctx, client, r.base)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		if err != nil {
			r.bad[err.Error()]++
		} else {
			r.good = append(r.good, time.Now())
			for _, g := range gpus {
				r.checkAnswer(&g, times)
			}
		}
		r.mu.Unlock()
	}
}

// checkAnswer checks a GPU's readings.
func (r *reader) checkAnswer(g *newest, times map[cell]time.Time) {
	for metric, at := range g.Times {
		c := cell{g.ID, metric}
		if before := times[c]; at.Before(before) {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: %s of %s was of %s and then of %s", r.name, metric, g.ID, before.Format(time.RFC3339), at.Format(time.RFC3339)))
		}
		times[c] = at
		r.answered[reading{g.ID, metric, at.UnixNano()}] = g.value(metric)
	}
}

func (g *newest) value(metric string) string {
	if n, there := g.Metrics[metric]; there {
		return n.String()
	}
	return "absent:" + g.Absent[metric]
}

func getGPUs(ctx context.Context, client *http.Client, base string) ([]newest, error) {
	var gpus []newest
	_, err := getData(ctx, client, base+"/api/v1/gpus", &gpus)
	return gpus, err
}

// getData asks for a page of data and returns where the next one starts.
func getData(ctx context.Context, client *http.Client, address string, data any) (next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		if cause, ok := err.(*url.Error); ok && cause.Timeout() {
			return "", fmt.Errorf("no answer in time")
		}
		return "", fmt.Errorf("connection error")
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("answer broken off")
	}
	var envelope struct {
		Success bool
		Code    string
		Data    json.RawMessage
		Next    string `json:"next_cursor"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return "", fmt.Errorf("%d, not JSON: %.100s", resp.StatusCode, text)
	}
	if !envelope.Success {
		return "", fmt.Errorf("%d %s", resp.StatusCode, envelope.Code)
	}
	return envelope.Next, json.Unmarshal(envelope.Data, data)
}
