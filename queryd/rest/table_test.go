package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/queryd/history"
)

// oddHosts returns a fleet of hosts with readings at times that no other host has.
func oddHosts(t *testing.T, hosts, readings int) *fleet {
	t.Helper()
	f := newFleet()
	for host := range hosts {
		for i := range readings {
			at := events.TimestampOf(noon.Add(time.Duration(i)*time.Minute + time.Duration(host)*time.Millisecond))
			id := events.Identity{UUID: fmt.Sprintf("GPU-%03d", host), Index: "0"}
			if err := f.addRow(events.HostID(fmt.Sprintf("host-%03d", host)), id, at, [][2]string{{"gpu_utilization", fmt.Sprint(i)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

// newTableAPI returns an API that allows tables of so many cells.
func newTableAPI(t *testing.T, f *fleet, cells int) *API {
	t.Helper()
	api := New(Config{}, f.facts, f.runHub(t), history.New(f, nil), f, nil)
	api.maxCells = cells
	return api
}

func TestCellsOfATableAreBounded(t *testing.T) {
	f := oddHosts(t, 30, 4) // 120 times and 30 series
	check := newChecker(t)
	for _, c := range []struct {
		query         string
		cells, status int
		rows          int
	}{
		{"", 3600, 200, 120},
		{"", 3599, 400, 0},
		{"&step=1m", 120, 200, 4},
		{"&step=1m", 119, 400, 0},
		{"&step=1m&agg=avg,max", 239, 400, 0},
		{"&host_id=host-001", 4, 200, 4},
		{"&limit=4", 64 * 16, 200, 4},
		{"&start_time=2025-07-19T12:00:00Z", 1, 200, 0},
	} {
		app := appOf(newTableAPI(t, f, c.cells))
		got := getAccepting(t, app, "/api/v1/telemetry?form=columns&format=csv"+c.query, "")
		check.checkAnswer(t, got)
		if got.status != c.status {
			t.Errorf("%q with at most %d cells: %d, want %d", c.query, c.cells, got.status, c.status)
		}
		switch text := string(got.body); got.status {
		case 200:
			if rows := strings.Count(text, "\r\n") - 1; rows != c.rows {
				t.Errorf("%q: %d rows, want %d", c.query, rows, c.rows)
			}
		case 400:
			if got.code() != BadParameter || !strings.Contains(text, fmt.Sprint(c.cells, " cells")) || !strings.Contains(text, "ask for json") {
				t.Errorf("%q: %s, want a text that names the bound and other forms", c.query, text)
			}
		}
	}
}

// oddSeries returns series with a value at n times that no other series has.
func oddSeries(series, n int) (all []history.Series) {
	for i := range series {
		s := history.Series{Host: "a", Metric: fmt.Sprint("m", i)}
		for k := range n {
			s.Samples.Add(events.Timestamp(series*k+i), events.Value{Number: events.Int(1)})
		}
		all = append(all, s)
	}
	return all
}

func TestATableIsWrittenInPieces(t *testing.T) {
	table := newTable(oddSeries(300, 4), nil, nil)
	if !table.countRows(maxCells) {
		t.Fatal("a table of 360,000 cells is refused")
	}
	rows, pieces := 0, 0
	for ; !table.isDone(); pieces++ {
		text, err := table.makeText(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > tableBytes+1<<10 {
			t.Errorf("a piece has %d bytes", len(text))
		}
		rows += bytes.Count(text, []byte("\r\n"))
	}
	if rows != 1200 || pieces != 2 {
		t.Errorf("%d rows in %d pieces, want 1200 in 2", rows, pieces)
	}
}

func TestATableIsStreamed(t *testing.T) {
	app := appOf(newTableAPI(t, oddHosts(t, 300, 4), maxCells))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(ln) }()
	defer func() {
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		<-served
	}()
	resp, err := http.Get("http://" + ln.Addr().String() + "/api/v1/telemetry?form=columns&format=csv")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if rows := bytes.Count(body, []byte("\r\n")); err != nil || rows != 1201 || resp.ContentLength >= 0 {
		t.Errorf("%d rows, length %d, %v; want 1201 rows of a stream", rows, resp.ContentLength, err)
	}
}

func TestATableStopsWithItsRequest(t *testing.T) {
	table := newTable(oddSeries(3, 1000), nil, nil)
	if !table.countRows(9000) || table.rows != 3000 {
		t.Fatalf("%d rows, want 3000", table.rows)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if text, err := table.makeText(ctx); !errors.Is(err, context.Canceled) || len(text) > 0 {
		t.Errorf("%d bytes after the request has ended: %v", len(text), err)
	}
}
