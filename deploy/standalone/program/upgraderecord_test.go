package program

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/tools/txtar"

	"telemetry-pipeline/collectd/retain"
)

// recordDirectory makes a data directory with this build, packs it, and records this build's answers on it.
func recordDirectory(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatalf("recorded directories are never made again: %v", err)
	}
	data := t.TempDir()
	recordArchived(t, data)
	from := recordHot(t, data)
	packDirectory(t, data, filepath.Join(dir, upgradeData))

	s := openRecorded(t, dir)
	var list []exchange
	for _, x := range upgradeRequests() {
		x.Body = bytes.ReplaceAll(x.Body, []byte("FROM"), []byte(from))
		x = s.exchange(x.Method, x.Path, x.Body)
		list = append(list, x)
		if next, more := nextPage(x); more {
			list = append(list, s.exchange(next.Method, next.Path, nil))
		}
	}
	s.stop()
	writeExchanges(t, filepath.Join(dir, upgradeAnswers), list)
}

// recordChangedAnswers writes the answers of this build on a recorded directory that differ from the recorded ones.
func recordChangedAnswers(t *testing.T, dir string) {
	t.Helper()
	s := openRecorded(t, dir)
	var changed []exchange
	for _, x := range readExchanges(t, filepath.Join(dir, upgradeAnswers)) {
		if now := s.exchange(x.Method, x.Path, x.Body); !cmp.Equal(atPresent(x.Answer), atPresent(now.Answer)) {
			changed = append(changed, now)
		}
	}
	s.stop()
	writeExchanges(t, filepath.Join(dir, upgradeChanged), changed)
}

func writeExchanges(t *testing.T, path string, list []exchange) {
	t.Helper()
	packed, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, packed, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recordArchived uploads the files that are then in the archive alone, in merged objects with rollups.
func recordArchived(t *testing.T, data string) {
	t.Helper()
	s := startStack(t, data, func(s *settings) {
		s.store.Partitions = 4
		s.folding.Retain = retain.Config{
			ArchiveInterval: time.Millisecond, HotWindow: time.Millisecond, Grace: time.Millisecond, KeepReplaced: time.Millisecond,
			Look: 20 * time.Millisecond, MergeEntries: 2,
		}
	})
	s.mustUpload("minutes.csv", minutes(0, 90))
	s.uploadStage("archived-1")
	s.mustUpload("fleet.csv", simulated(t, 1, 12))
	s.awaitArchived()
	s.uploadStage("archived-2")
	s.mustUpload("more.csv", minutes(90, 240))
	s.awaitArchived()
	s.await("merged objects", func(client *clientv3.Client) bool {
		return s.count(client, "archive", `"kind":"hourly"`) > 0
	})
	s.stop()
}

// recordHot uploads the files that stay in etcd, spoils some events, and returns a position before the last upload.
func recordHot(t *testing.T, data string) (from string) {
	t.Helper()
	s := startStack(t, data, keepAsItIs)
	s.uploadStage("hot")
	client, cfg := s.etcd(), s.settings.store
	put := func(key, value string) {
		t.Helper()
		if _, err := client.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	keys := eventKeys(t, client, cfg)
	put(keys[0]+"0", "\x07of a newer version")
	put(keys[len(keys)-1], "overwritten")
	put(cfg.Prefix("queue")+"1752871354_foreign-1_0_9", "no JSON")
	put(cfg.Prefix("queue")+"1752871354_foreign-1_0_1", `{"timestamp":"2025-07-18T20:42:34Z","hostname":"foreign-1","gpu_id":0,
		"uuid":"GPU-f0000000-0000-0000-0000-000000000001","model_name":"Tesla V100","gpu_utilization":75.5,"memory_used_mb":8192,"temperature":null}`)
	s.await("quarantine", func(*clientv3.Client) bool { return len(s.quarantine("")) == 3 })
	s.await("foreign host", func(*clientv3.Client) bool { return s.exchange("GET", "/api/v1/hosts/foreign-1", nil).Status == 200 })
	w := s.subscribe("")
	w.until("synced")
	from = w.last
	w.close()
	s.uploadStage("followed")
	s.stop()
	return from
}

// uploadStage uploads the files of a stage of testdata/upgrade-uploads.txtar.
func (s *stack) uploadStage(stage string) {
	s.t.Helper()
	files, err := txtar.ParseFile("testdata/upgrade-uploads.txtar")
	if err != nil {
		s.t.Fatal(err)
	}
	sent := 0
	for _, f := range files.Files {
		name, found := strings.CutPrefix(f.Name, stage+"/")
		if !found {
			continue
		}
		name, parameters, _ := strings.Cut(name, "?")
		status, r := s.upload(name, f.Data, "?wait=true&"+parameters)
		if status != 200 || !r.Success || r.Rejected > 0 || r.Accepted == 0 {
			s.t.Fatalf("uploading %s: %d %+v", f.Name, status, r)
		}
		sent++
	}
	if sent == 0 {
		s.t.Fatalf("no files of stage %s", stage)
	}
}

// minutes is an export of readings of each minute, of two hosts with two GPUs.
func minutes(from, to int) []byte {
	var b bytes.Buffer
	b.WriteString("timestamp,metric_name,gpu_id,uuid,device,modelName,Hostname,value\n")
	start := time.Date(2025, 7, 18, 19, 0, 0, 0, time.UTC)
	for m := from; m < to; m++ {
		for g := range 4 {
			at, host := start.Add(time.Duration(m)*time.Minute).Format(time.RFC3339), g/2
			row := func(metric, value string) {
				fmt.Fprintf(&b, "%s,%s,%d,GPU-f1ee0000-0000-0000-0000-00000000000%d,nvidia%d,NVIDIA A100,fleet-%d,%s\n", at, metric, g%2, g, g%2, host, value)
			}
			row("DCGM_FI_DEV_GPU_TEMP", fmt.Sprint(30+(m*7+g*3)%41))
			row("DCGM_FI_DEV_POWER_USAGE", fmt.Sprintf("%d.%03d", 70+m%300, m*37%1000))
			row("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", fmt.Sprint(1_000_000+m*4321+g))
		}
	}
	return b.Bytes()
}

// awaitArchived waits until no event is left in etcd, since all are in the archive.
func (s *stack) awaitArchived() {
	s.t.Helper()
	s.await("archive", func(client *clientv3.Client) bool { return len(eventKeys(s.t, client, s.settings.store)) == 0 })
}

// await polls a condition of a stack that is being recorded.
func (s *stack) await(what string, reached func(*clientv3.Client) bool) {
	s.t.Helper()
	client := s.etcd()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	for !reached(client) {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited for %s in vain", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// count returns how many values of a family of keys contain a text.
func (s *stack) count(client *clientv3.Client, family, text string) (n int) {
	s.t.Helper()
	resp, err := client.Get(s.t.Context(), s.settings.store.Prefix(family), clientv3.WithPrefix())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, kv := range resp.Kvs {
		n += strings.Count(string(kv.Value), text)
	}
	return n
}

// packDirectory writes the files of a data directory to a compressed archive. Sockets, the lock and the segment that etcd
// has prepared for later are left out.
func packDirectory(t *testing.T, dir, file string) {
	t.Helper()
	var packed bytes.Buffer
	enc, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(enc)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "lock" || filepath.Ext(path) == ".tmp" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o600, Size: int64(len(content)), Format: tar.FormatPAX}
		if err := tw.WriteHeader(header); err != nil {
			return err
		}
		_, err = tw.Write(content)
		return err
	})
	if err := errors.Join(err, tw.Close(), enc.Close(), os.WriteFile(file, packed.Bytes(), 0o644)); err != nil {
		t.Fatalf("packing %s: %v", dir, err)
	}
}

// unpackDirectory undoes packDirectory.
func unpackDirectory(t *testing.T, file, dir string) {
	t.Helper()
	packed, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	dec, err := zstd.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for tr := tar.NewReader(dec); ; {
		header, err := tr.Next()
		if err == io.EOF {
			return
		}
		if err == nil {
			err = root.MkdirAll(filepath.Dir(header.Name), 0o700)
		}
		var f *os.File
		if err == nil {
			f, err = root.Create(header.Name)
		}
		if err == nil {
			_, err = io.Copy(f, tr)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatalf("unpacking %s: %v", file, err)
		}
	}
}
