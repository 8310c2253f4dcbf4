package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"telemetry-pipeline/deploy/measure"
)

// vitals is the state of the process at one time.
type vitals struct {
	at                   time.Time
	resident             int64
	liveHeap, goroutines float64
	files                int
	etcdFile, etcdInUse  int64
	lag                  float64 // seconds
}

// readVitals takes a sample.
func readVitals(ctx context.Context, s *measure.Standalone, c *measure.Client) (*vitals, error) {
	use, err := s.Usage()
	if err != nil {
		return nil, err
	}
	v := &vitals{at: time.Now(), resident: use.Resident, files: use.Files}
	var status struct {
		Admission struct {
			Size measure.EtcdSize `json:"size"`
			Lag  struct {
				Seconds float64 `json:"seconds"`
			} `json:"lag"`
		} `json:"admission"`
	}
	if err := c.GetJSON(ctx, s.Uploads+"/api/v1/status", &status); err != nil {
		return nil, err
	}
	v.etcdFile, v.etcdInUse, v.lag = status.Admission.Size.Bytes, status.Admission.Size.InUse, status.Admission.Lag.Seconds
	page, err := c.Get(ctx, s.Admin+"/metrics")
	if err != nil {
		return nil, err
	}
	if v.goroutines, err = readMetric(string(page), "go_goroutines"); err != nil {
		return nil, err
	}
	v.liveHeap, err = readLiveHeap(string(page))
	return v, err
}

// readLiveHeap returns the bytes that the last collection found in use, from the size at which the next one is due. The
// program must run without GOMEMLIMIT, by which it would be due earlier.
func readLiveHeap(page string) (float64, error) {
	goal, err := readMetric(page, "go_memstats_next_gc_bytes")
	if err != nil {
		return 0, err
	}
	percent, err := readMetric(page, "go_gc_gogc_percent")
	return goal / (1 + percent/100), err
}

// readMetric returns the value of a metric without labels on a page of metrics.
func readMetric(page, name string) (float64, error) {
	for line := range strings.Lines(page) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the page of metrics has no %s", name)
}

// writeSamples writes all samples as CSV.
func writeSamples(path string, all []vitals) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := csv.NewWriter(file)
	header := []string{"time"}
	for _, q := range quantities() {
		header = append(header, strings.TrimSpace(q.name+" "+q.unit))
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for i := range all {
		row := []string{all[i].at.UTC().Format(time.RFC3339)}
		for _, q := range quantities() {
			row = append(row, strconv.FormatFloat(q.read(&all[i]), 'f', -1, 64))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	return file.Close()
}
