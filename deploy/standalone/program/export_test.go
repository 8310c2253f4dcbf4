package program

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/deploy/fleet"
)

// export is a DCGM export in the long form, read by the standard library so that our own parser is not
// its own judge.
type export struct {
	header []string
	rows   [][]string
}

func readExport(t *testing.T, content []byte) export {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return export{header: all[0], rows: all[1:]}
}

// simulated is an export of the demo's fleet: the shape of a real one, of our own making.
func simulated(t *testing.T, hosts, samples int) []byte {
	t.Helper()
	var times []time.Time
	start := time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC)
	for i := range samples {
		times = append(times, start.Add(time.Duration(i)*15*time.Second))
	}
	var content bytes.Buffer
	if err := fleet.New(hosts*fleet.GPUsPerHost, 11).WriteLong(&content, times); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func (e export) file(t *testing.T, rows [][]string) []byte {
	t.Helper()
	var content bytes.Buffer
	w := csv.NewWriter(&content)
	if err := w.WriteAll(append([][]string{e.header}, rows...)); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func (e export) cell(row []string, column string) string {
	return row[slices.Index(e.header, column)]
}

// byHost groups the rows, in their order.
func (e export) byHost() map[string][][]string {
	groups := map[string][][]string{}
	for _, row := range e.rows {
		h := e.cell(row, "Hostname")
		groups[h] = append(groups[h], row)
	}
	return groups
}

// readings are the readings of every row, as "time metric uuid" to its value and its labels.
func (e export) readings(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, row := range e.rows {
		labels := rawLabels(t, e.cell(row, "labels_raw"))
		key := fmt.Sprint(e.cell(row, "timestamp"), " ", e.cell(row, "metric_name"), " ", e.cell(row, "uuid"))
		all[key] = describe(e.cell(row, "value"), map[string]any{
			"hostname": e.cell(row, "Hostname"), "gpu_id": e.cell(row, "gpu_id"), "device": e.cell(row, "device"),
			"model_name": e.cell(row, "modelName"), "driver_version": labels["DCGM_FI_DRIVER_VERSION"],
			"instance": labels["instance"], "job": labels["job"],
		})
	}
	return all
}

// describe writes a value, exactly and in one form, and its labels.
func describe(value string, labels map[string]any) string {
	number, ok := new(big.Rat).SetString(value)
	if !ok {
		return "no number: " + value
	}
	return fmt.Sprintf("%s %v", number.RatString(), labels)
}

// rawLabels reads name="value" pairs; the exports used here have no quotes inside values.
func rawLabels(t *testing.T, text string) map[string]string {
	t.Helper()
	labels := map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSuffix(text, `"`), `",`) {
		name, value, found := strings.Cut(pair, `="`)
		if !found {
			t.Fatalf("labels_raw %q: no pair in %q", text, pair)
		}
		labels[name] = value
	}
	return labels
}
