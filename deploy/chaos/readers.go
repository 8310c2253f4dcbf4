package main

import (
	"context"
	"encoding/json"
	"errors"
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
	client     *http.Client
	sees       map[string]bool // the GPUs of its scope; nil is all

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

// newReaders returns for each queryd a reader of everything, and with access one whose scope is some hosts.
func newReaders(c *cluster) []*reader {
	var all []*reader
	add := func(name, role, base string, sees map[string]bool) {
		all = append(all, &reader{name: name, base: base, client: c.secrets.newClient(role, readTimeout), sees: sees, bad: map[string]int{}, answered: map[reading]string{}})
	}
	for _, d := range c.processesOf("queryd") {
		add(d.name, "read", d.base, nil)
		if c.secrets != nil {
			add(d.name+", some hosts", rackRole, d.base, rackGPUs())
		}
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
	times := map[cell]time.Time{}
	for wait.Sleep(ctx, readPace) {
		gpus, err := getGPUs(ctx, r.client, r.base)
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
	if r.sees != nil && !r.sees[g.ID] {
		r.wrong = append(r.wrong, fmt.Sprintf("%s: %s is not in its scope", r.name, g.ID))
	}
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

// refusal is an answer of queryd that has no data.
type refusal struct {
	status int
	code   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s", r.status, r.code) }

// isFinal reports whether an error is a refusal that would be the same if asked again.
func isFinal(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return refused && r.status >= 400 && r.status < 500
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
		return "", &refusal{resp.StatusCode, envelope.Code}
	}
	return envelope.Next, json.Unmarshal(envelope.Data, data)
}
