package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
	"telemetry-pipeline/events/wait"
)

// exporters serve the scrapes of a fleet over HTTP, as an exporter on each host does.
type exporters struct {
	address string
	server  *http.Server
	ended   chan error

	began time.Time
	mu    sync.Mutex
	fleet *fleet.Fleet
	all   []*fleet.Frame // by second
}

// serveFleet begins to serve.
func serveFleet(gpus *fleet.Fleet) (*exporters, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &exporters{address: ln.Addr().String(), began: time.Now(), fleet: gpus, ended: make(chan error, 1)}
	e.server = &http.Server{Handler: e}
	go func() { e.ended <- e.server.Serve(ln) }()
	return e, nil
}

// close ends the server.
func (e *exporters) close() error {
	err := e.server.Close()
	if ended := <-e.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// frameAt returns the readings of the second of an instant.
func (e *exporters) frameAt(at time.Time) *fleet.Frame {
	e.mu.Lock()
	defer e.mu.Unlock()
	second := int(at.Sub(e.began) / time.Second)
	for len(e.all) <= second {
		e.all = append(e.all, e.fleet.Advance())
	}
	return e.all[second]
}

// ServeHTTP answers with the readings of the host whose number is asked for.
func (e *exporters) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, err := strconv.Atoi(r.URL.Query().Get("host"))
	if err != nil || host < 0 || host >= e.fleet.Hosts() {
		http.Error(w, "no such host", http.StatusNotFound)
		return
	}
	now := time.Now().Truncate(time.Millisecond)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = w.Write(e.frameAt(now).AppendScrape(nil, host, now)) // a client that is gone needs no answer
}

// scraper is a running Prometheus that scrapes each host once a second.
type scraper struct {
	*measure.Process
	address string
}

// startPrometheus starts the server on a free port, with its data in dir.
func startPrometheus(ctx context.Context, dir string, e *exporters) (*scraper, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, errors.New(installPeers)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(scrapeConfig(e.address, e.fleet.Hosts())), 0o644); err != nil {
		return nil, err
	}
	ports, err := measure.FreePorts(1)
	if err != nil {
		return nil, err
	}
	s := &scraper{address: "http://127.0.0.1:" + strconv.Itoa(ports[0])}
	client := measure.NewClient(1)
	s.Process, err = measure.Start(ctx, measure.Command{
		Name: "prometheus", Program: program, Log: filepath.Join(dir, "prometheus.log"),
		Args: []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:" + strconv.Itoa(ports[0])},
		Ready: func(ctx context.Context) error {
			_, err := client.Get(ctx, s.address+"/-/ready")
			return err
		},
	})
	return s, err
}

// scrapeConfig returns a configuration with a target for each host.
func scrapeConfig(address string, hosts int) string {
	var b strings.Builder
	b.WriteString("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: fleet\n  static_configs:\n")
	for host := range hosts {
		fmt.Fprintf(&b, "  - {targets: ['%s'], labels: {instance: 'host-%d', __param_host: '%d'}}\n", address, host, host)
	}
	return b.String()
}

// samples returns how many samples it has appended since its start.
func (s *scraper) samples(ctx context.Context, c *measure.Client) (float64, error) {
	page, err := c.Get(ctx, s.address+"/metrics")
	if err != nil {
		return 0, err
	}
	const name = "prometheus_tsdb_head_samples_appended_total"
	for line := range strings.Lines(string(page)) {
		if metric, value, found := strings.Cut(strings.TrimSpace(line), " "); found && strings.HasPrefix(metric, name) && !strings.Contains(metric, "histogram") {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, nil // the metric is there from the first sample on
}

// warmUp is how long Prometheus scrapes before it is measured: every target has its series by then.
const warmUp = 3 * time.Second

// playPrometheus measures a Prometheus that scrapes the hosts itself.
func (r *run) playPrometheus(ctx context.Context, gpus *fleet.Fleet, round int) (out *measure.Load, err error) {
	e, err := serveFleet(gpus)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	s, err := startPrometheus(ctx, filepath.Join(r.dir, fmt.Sprintf("prometheus-%d", round)), e)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	r.noteCommand("prometheus")
	if !wait.Sleep(ctx, warmUp) {
		return nil, ctx.Err()
	}
	before, err := s.Usage()
	if err != nil {
		return nil, err
	}
	first, err := s.samples(ctx, r.client)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if !wait.Sleep(ctx, r.set.streamFor) {
		return nil, ctx.Err()
	}
	last, err := s.samples(ctx, r.client)
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(began)
	if last == first {
		return nil, errors.New("prometheus has scraped nothing")
	}
	after, err := s.Usage()
	if err != nil {
		return nil, err
	}
	return &measure.Load{Sent: int64(last - first), Elapsed: elapsed, CPU: after.CPU - before.CPU}, e.compareScraped(ctx, s, r.client)
}

// compareScraped compares the readings of some GPUs with the served ones. A target that did not answer in time has none;
// all of them cannot have failed.
func (e *exporters) compareScraped(ctx context.Context, s *scraper, c *measure.Client) error {
	compared := 0
	for i := range comparedGPUs {
		i *= 1237
		text, err := c.Get(ctx, s.address+"/api/v1/query?query="+fleet.MetricNames()[2]+"%7BUUID%3D%22"+e.fleet.GPU(i).UUID+"%22%7D%5B30s%5D")
		if err != nil {
			return err
		}
		var body struct {
			Data struct {
				Result []struct {
					Values [][2]json.RawMessage `json:"values"`
				} `json:"result"`
			} `json:"data"`
		}
		if err := json.Unmarshal(text, &body); err != nil {
			return err
		}
		if len(body.Data.Result) == 0 {
			continue
		}
		for _, pair := range body.Data.Result[0].Values {
			compared++
			stamp, err := strconv.ParseFloat(string(pair[0]), 64)
			if err != nil {
				return err
			}
			at := time.UnixMilli(int64(stamp*1000 + 0.5))
			served := strings.Fields(string(e.frameAt(at).AppendGPU(nil, i, fleet.MetricNames()[2:3], at)))
			want, err1 := strconv.ParseFloat(served[len(served)-2], 64)
			got, err2 := strconv.ParseFloat(string(bytes.Trim(pair[1], `"`)), 64)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			if got != want {
				return fmt.Errorf("prometheus has %g at %s, and %g was served", got, at, want)
			}
		}
	}
	if compared == 0 {
		return fmt.Errorf("prometheus has no readings of any of %d GPUs", comparedGPUs)
	}
	return nil
}
