package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// form is a form of our answers to queries of history: the parameters that ask for it, and its reader.
type form struct {
	name  string
	query url.Values
	// parse adds the numbers of one page to an answer.
	parse func(page []byte, into answer) error
}

// forms returns the forms that this program knows, by the value of its flag.
func forms() []form {
	return []form{
		{"columns", url.Values{"form": {"columns"}, "limit": {"5000000"}}, parseColumns},
		{"csv", url.Values{"format": {"csv"}}, parseCSV},
		{"json", url.Values{"limit": {"10000"}}, parseEntries},
	}
}

// formNamed returns the form of a name.
func formNamed(name string) (form, error) {
	all := forms()
	i := slices.IndexFunc(all, func(f form) bool { return f.name == name })
	if i < 0 {
		return form{}, fmt.Errorf("flag form: %q is not a form of answers", name)
	}
	return all[i], nil
}

// parseEntries reads a page of JSON entries.
func parseEntries(page []byte, into answer) error {
	var body struct {
		Data []struct {
			Timestamp time.Time          `json:"timestamp"`
			ID        string             `json:"id"`
			Metrics   map[string]float64 `json:"metrics"`
		} `json:"data"`
	}
	if err := json.Unmarshal(page, &body); err != nil {
		return err
	}
	for _, e := range body.Data {
		for metric, value := range e.Metrics {
			if err := into.add(sample{e.ID, metric, e.Timestamp.UnixMilli()}, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseColumns reads a page of series: arrays of times and values.
func parseColumns(page []byte, into answer) error {
	var body struct {
		Data []struct {
			ID     string     `json:"id"`
			Metric string     `json:"metric"`
			Times  []float64  `json:"times"`
			Values []*float64 `json:"values"`
		} `json:"data"`
	}
	if err := json.Unmarshal(page, &body); err != nil {
		return err
	}
	for _, series := range body.Data {
		if len(series.Times) != len(series.Values) {
			return fmt.Errorf("a series has %d times and %d values", len(series.Times), len(series.Values))
		}
		for i, value := range series.Values {
			if value == nil {
				return fmt.Errorf("%s of %s has no number at %f", series.Metric, series.ID, series.Times[i])
			}
			if err := into.add(sample{series.ID, series.Metric, int64(math.Round(series.Times[i] * 1000))}, *value); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseCSV reads CSV of readings or of buckets; the header says which. All pages come at once.
func parseCSV(page []byte, into answer) error {
	in := csv.NewReader(bytes.NewReader(page))
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return err
	}
	header = slices.Clone(header)
	column := func(names ...string) int {
		return slices.IndexFunc(header, func(h string) bool { return slices.Contains(names, h) })
	}
	at, gpu, metric, value := column("timestamp"), column("uuid", "id"), column("metric_name"), column("value", "avg")
	if min(at, gpu, metric, value) < 0 {
		return fmt.Errorf("the CSV has unknown columns: %q", header)
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		when, err := time.Parse(time.RFC3339Nano, row[at])
		if err != nil {
			return err
		}
		number, err := strconv.ParseFloat(row[value], 64)
		if err != nil {
			return err
		}
		if err := into.add(sample{row[gpu], row[metric], when.UnixMilli()}, number); err != nil {
			return err
		}
	}
}

// cursorMember precedes the cursor of the next page, at the end of a page of JSON.
const cursorMember = `"next_cursor":"`

// nextCursor returns the cursor at the end of a page, "" on the last one. It does not parse the page, which a client that
// asks for the next one need not have done.
func nextCursor(page []byte) string {
	tail := page[max(0, len(page)-1000):]
	i := bytes.LastIndex(tail, []byte(cursorMember))
	if i < 0 {
		return ""
	}
	cursor, _, _ := bytes.Cut(tail[i+len(cursorMember):], []byte(`"`))
	return string(cursor)
}
