package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

const installPeers = "the peers are not installed: apt-get install victoria-metrics prometheus"

// victoria is a running VictoriaMetrics.
type victoria struct {
	*measure.Process
	address, data string
	args          []string
}

// findVictoria returns the path of the program.
func findVictoria() (string, error) {
	for _, name := range []string{"victoria-metrics", "victoria-metrics-prod"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New(installPeers)
}

// startVictoria starts the server on a free port, on the data in dir, with its defaults but for retention.
func startVictoria(ctx context.Context, program, dir string) (*victoria, error) {
	ports, err := measure.FreePorts(1)
	if err != nil {
		return nil, err
	}
	v := &victoria{address: "http://127.0.0.1:" + strconv.Itoa(ports[0]), data: filepath.Join(dir, "victoria")}
	v.args = []string{"-storageDataPath=" + v.data, "-httpListenAddr=127.0.0.1:" + strconv.Itoa(ports[0]), "-retentionPeriod=100y"}
	client := measure.NewClient(1)
	v.Process, err = measure.Start(ctx, measure.Command{
		Name: "victoria-metrics", Program: program, Args: v.args, Log: filepath.Join(dir, "victoria.log"),
		Ready: func(ctx context.Context) error {
			_, err := client.Get(ctx, v.address+"/health")
			return err
		},
	})
	return v, err
}

// importWide sends a file of the wide form.
func (v *victoria) importWide(ctx context.Context, c *measure.Client, text []byte) error {
	columns := []string{"1:time:rfc3339", "2:label:gpu", "3:label:uuid", "4:label:device", "5:label:modelName", "6:label:Hostname", "7:label:DCGM_FI_DRIVER_VERSION"}
	for i, name := range fleet.MetricNames() {
		columns = append(columns, fmt.Sprintf("%d:metric:%s", i+8, name))
	}
	return v.importRows(ctx, c, strings.Join(columns, ","), text)
}

// importRows sends a CSV file whose columns are described.
func (v *victoria) importRows(ctx context.Context, c *measure.Client, columns string, text []byte) error {
	_, rows, found := bytes.Cut(text, []byte("\n"))
	if !found {
		return errors.New("the file has no header")
	}
	_, err := c.Post(ctx, v.address+"/api/v1/import/csv?format="+url.QueryEscape(columns), "text/csv", bytes.NewReader(rows))
	return err
}

// flush makes everything that was imported visible and stored.
func (v *victoria) flush(ctx context.Context, c *measure.Client) error {
	_, err := c.Get(ctx, v.address+"/internal/force_flush")
	return err
}

// parseRange reads the answer to a range query of averages over a step. A value stands at the last millisecond of its
// step there, and at the first one in an answer.
func parseRange(page []byte, metric string, step time.Duration) (answer, error) {
	var body struct {
		Data struct {
			Result []struct {
				Metric map[string]string    `json:"metric"`
				Values [][2]json.RawMessage `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(page, &body); err != nil {
		return nil, err
	}
	into := answer{}
	for _, series := range body.Data.Result {
		for _, pair := range series.Values {
			seconds, err := strconv.ParseFloat(string(pair[0]), 64)
			if err != nil {
				return nil, err
			}
			value, err := strconv.ParseFloat(strings.Trim(string(pair[1]), `"`), 64)
			if err != nil {
				return nil, err
			}
			at := time.UnixMilli(int64(seconds*1000 + 0.5)).Add(time.Millisecond - step)
			if err := into.add(sample{gpuOf(series.Metric), metric, at.UnixMilli()}, value); err != nil {
				return nil, err
			}
		}
	}
	return into, nil
}

// parseExport reads exported series, one to a line.
func parseExport(page []byte) (answer, error) {
	into := answer{}
	in := bufio.NewReader(bytes.NewReader(page))
	for {
		text, err := in.ReadBytes('\n')
		if len(text) > 0 {
			if err := parseExported(text, into); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) {
			return into, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func parseExported(text []byte, into answer) error {
	var series struct {
		Metric     map[string]string `json:"metric"`
		Values     []float64         `json:"values"`
		Timestamps []int64           `json:"timestamps"`
	}
	if err := json.Unmarshal(text, &series); err != nil {
		return err
	}
	if len(series.Values) != len(series.Timestamps) {
		return fmt.Errorf("a series has %d values and %d times", len(series.Values), len(series.Timestamps))
	}
	for i, value := range series.Values {
		if err := into.add(sample{gpuOf(series.Metric), nameOf(series.Metric), series.Timestamps[i]}, value); err != nil {
			return err
		}
	}
	return nil
}

// gpuOf returns the UUID among labels: of imported files, or of an exporter's text.
func gpuOf(labels map[string]string) string { return cmp.Or(labels["uuid"], labels["UUID"]) }

// nameOf returns the name of the metric: a label of its own where the long form was imported.
func nameOf(labels map[string]string) string {
	return cmp.Or(labels["metric_name"], labels["__name__"])
}
