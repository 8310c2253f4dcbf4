package program

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/events/archive/manifest"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
	"telemetry-pipeline/queryd/cells"
	"telemetry-pipeline/queryd/query"
)

// cellsFile is the file of the clusters that one process serves.
type cellsFile struct{ path string }

func (f *cellsFile) registerFlags(fs *flag.FlagSet) {
	fs.StringVar(&f.path, "query.cells", "",
		"file of the clusters to serve together, a JSON object per line such as {\"name\":\"a\",\"endpoints\":\"https://etcd-a:2379\"} (docs/CELLS.md); empty serves the one cluster of etcd.endpoints and cluster.id")
}

// cellEntry is a line of the file. What it leaves out is as the flags of the process have it.
type cellEntry struct {
	Name         string `json:"name"`       // default: cluster_id
	ClusterID    string `json:"cluster_id"` // cluster.id of its log; default: the flag
	Endpoints    string `json:"endpoints"`
	Root         string `json:"root"`
	CertFile     string `json:"cert"`
	KeyFile      string `json:"key"`
	CAFile       string `json:"ca"`
	Username     string `json:"username"`
	PasswordFile string `json:"password_file"` // a file, so that no password stands beside the rest
	Archive      string `json:"archive"`       // archive.url of the cluster; default: there is none
}

// maxCellsFile bounds the file.
const maxCellsFile = 1 << 20

// read returns the clusters of the file. Its errors name the line.
func (f *cellsFile) read(flags eventlog.Config) ([]query.Source, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("flag query.cells: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCellsFile+1))
	if err == nil && len(text) > maxCellsFile {
		err = fmt.Errorf("it has more than %d bytes", maxCellsFile)
	}
	if err != nil {
		return nil, fmt.Errorf("flag query.cells: reading %s: %w", f.path, err)
	}
	sources, err := parseCells(text, flags)
	if err != nil {
		return nil, fmt.Errorf("flag query.cells: %s: %w", f.path, err)
	}
	return sources, nil
}

// parseCells parses the lines of the file. Empty lines and lines that begin with # are skipped.
func parseCells(text []byte, flags eventlog.Config) (sources []query.Source, err error) {
	names, places := map[string]int{}, map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxCellsFile+1)
	for number := 1; lines.Scan(); number++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		entry, err := parseCell(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		store, err := entry.storeConfig(flags)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		place := store.Endpoints + " " + store.Key("log")
		switch {
		case names[entry.Name] > 0:
			return nil, fmt.Errorf("line %d: line %d has the name %s too; names must differ", number, names[entry.Name], entry.Name)
		case places[place] > 0:
			return nil, fmt.Errorf("line %d: line %d is the same cluster: the same endpoints, root and cluster_id", number, places[place])
		case len(sources) == query.MaxCells:
			return nil, fmt.Errorf("line %d: at most %d clusters are served", number, query.MaxCells)
		}
		names[entry.Name], places[place] = number, number
		sources = append(sources, query.Source{Name: entry.Name, Open: cellOpener(store, archive.Config{URL: entry.Archive}), Metrics: store.Metrics})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, errors.New(`it names no cluster; write a line such as {"name":"a","endpoints":"https://etcd-a:2379"} for each`)
	}
	return sources, nil
}

// parseCell parses a line.
func parseCell(line []byte) (e cellEntry, err error) {
	in := json.NewDecoder(bytes.NewReader(line))
	in.DisallowUnknownFields()
	if err := in.Decode(&e); err != nil {
		return e, fmt.Errorf(`it is no cluster: %w; write a JSON object such as {"name":"a","endpoints":"https://etcd-a:2379"}`, err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return e, errors.New("something follows the object; write one object per line")
	}
	if e.Name = cmp.Or(e.Name, e.ClusterID); e.Name == "" {
		return e, errors.New("name is missing")
	}
	if err := cells.CheckName(e.Name); err != nil {
		return e, fmt.Errorf("name: %w", err)
	}
	if e.Endpoints == "" {
		return e, fmt.Errorf("cluster %s: endpoints is missing: the addresses of its etcd, comma-separated", e.Name)
	}
	return e, nil
}

// storeConfig returns the place of the cluster in etcd, and reads the password.
func (e *cellEntry) storeConfig(flags eventlog.Config) (eventlog.Config, error) {
	c := flags
	c.Endpoints = e.Endpoints
	c.ClusterID = cmp.Or(e.ClusterID, c.ClusterID)
	c.Root = cmp.Or(e.Root, c.Root)
	c.CAFile = cmp.Or(e.CAFile, c.CAFile)
	if e.CertFile != "" || e.KeyFile != "" {
		c.CertFile, c.KeyFile = e.CertFile, e.KeyFile
	}
	if e.Username != "" {
		c.Username, c.Password = e.Username, ""
	}
	if e.PasswordFile == "" {
		return c, nil
	}
	text, err := os.ReadFile(e.PasswordFile)
	if err != nil {
		return c, fmt.Errorf("cluster %s: password_file: %w", e.Name, err)
	}
	c.Password = string(bytes.TrimRight(text, "\r\n"))
	return c, nil
}

// cellOpener returns the function that connects to a cluster.
func cellOpener(store eventlog.Config, cold archive.Config) func(context.Context, *slog.Logger) (*query.Opened, error) {
	return func(ctx context.Context, lg *slog.Logger) (_ *query.Opened, err error) {
		var opened daemon.Opened
		defer opened.CloseOn(&err)
		log, err := eventlog.Open(ctx, store, lg)
		if err != nil {
			return nil, err
		}
		opened.Add("events", log.Close)
		reads, err := store.Dial(lg)
		if err != nil {
			return nil, err
		}
		opened.Add("reads", reads.Close)
		out := &query.Opened{
			Log: log, Store: snapshot.New(reads, store, log.Facts(), lg), Manifest: manifest.New(reads, store, log.Facts()),
		}
		if out.Archive, err = cold.Open(ctx); err != nil {
			return nil, err
		}
		if out.Archive != nil {
			opened.Add("archive", out.Archive.Close)
		}
		out.Close = opened.Close
		return out, nil
	}
}
