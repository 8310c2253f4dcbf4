package rebase

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	etcdutl "go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/projections/snapshot"
)

func TestMain(m *testing.M) { eventstest.Main(m) }

// bump is the bump of the runbook.
const bump = 1_000_000_000

// backup is a snapshot of a log with folded events, and the events after it.
type backup struct {
	cfg      eventlog.Config // of the log in the etcd that is gone
	facts    events.Facts
	snapshot string
	kept     []eventlog.Appended // in the snapshot
	lost     []eventlog.Appended // after the snapshot
}

func newBackup(t *testing.T) *backup {
	t.Helper()
	server := eventstest.NewServer(t, nil)
	cfg := server.Config(t)
	cfg.Partitions = 4
	log := eventstest.OpenLog(t, cfg)
	client := server.Client(t)
	p := &backup{cfg: cfg, facts: log.Facts(), snapshot: filepath.Join(t.TempDir(), "snapshot.db")}
	add := func(from int) []eventlog.Appended {
		got, err := log.Append(t.Context(), eventstest.Events("a", from, 10))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	p.kept = add(0)
	saveOffsets(t, snapshot.New(client, cfg, log.Facts(), nil), client, cfg, p.kept[9].Revision)
	stream, err := client.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	f, err := os.Create(p.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, stream); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.lost = add(100)
	return p
}

// saveOffsets stores offsets as if all events up to a revision were folded.
func saveOffsets(t *testing.T, store *snapshot.Store, client *clientv3.Client, cfg eventlog.Config, at events.Revision) {
	t.Helper()
	g, err := store.Active(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	claim, err := client.Put(t.Context(), cfg.Root+"/claim", "mine")
	if err != nil {
		t.Fatal(err)
	}
	guard := clientv3.Compare(clientv3.CreateRevision(cfg.Root+"/claim"), "=", claim.Header.Revision)
	for p := range cfg.Partitions {
		if err := store.Save(t.Context(), g, events.Partition(p), snapshot.Commit{Offsets: &projections.Offsets{Live: at, Series: at}}, guard); err != nil {
			t.Fatal(err)
		}
	}
}

// startRestored starts an etcd from the snapshot, as the runbook does, and returns the settings of the log in it.
func (p *backup) startRestored(t *testing.T, bump uint64) (*eventstest.Server, eventlog.Config) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	server := eventstest.NewServer(t, func(cfg *embed.Config) {
		cfg.Dir = dir
		if _, err := os.Stat(dir); err == nil {
			return // started again
		}
		err := etcdutl.NewV3(zap.NewNop()).Restore(etcdutl.RestoreConfig{
			SnapshotPath: p.snapshot, Name: cfg.Name, OutputDataDir: dir, PeerURLs: []string{cfg.AdvertisePeerUrls[0].String()},
			InitialCluster: cfg.InitialCluster, InitialClusterToken: cfg.InitialClusterToken, RevisionBump: bump, MarkCompacted: bump > 0,
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	cfg := server.Config(t)
	cfg.Root, cfg.Partitions = p.cfg.Root, p.cfg.Partitions
	return server, cfg
}

func TestARestoredLogIsAnotherOneAndGoesOn(t *testing.T) {
	p := newBackup(t)
	server, cfg := p.startRestored(t, bump)
	running := eventstest.OpenLog(t, cfg) // a daemon that was started too early
	var output bytes.Buffer
	if err := Run(t.Context(), Config{}, cfg, &output, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(output.String(), "4 offsets") || !strings.Contains(output.String(), "collectd generations") {
		t.Errorf("output %q", output.String())
	}
	if _, err := running.Head(t.Context()); !errors.Is(err, events.ErrForeign) {
		t.Errorf("a process that runs on the log has %v, want ErrForeign", err)
	}
	log := eventstest.OpenLog(t, cfg)
	facts := log.Facts()
	if facts.Epoch == p.facts.Epoch || facts.Partitions != p.facts.Partitions || facts.Cut != p.facts.Cut {
		t.Errorf("facts are %+v, and were %+v; want another epoch and nothing else", facts, p.facts)
	}
	head, err := log.Head(t.Context())
	if err != nil || head.Number < bump {
		t.Errorf("head is %d, %v; want a revision that was never given out", head.Number, err)
	}
	for _, old := range []events.Revision{p.kept[0].Revision, p.lost[0].Revision} {
		for _, err := range log.Read(t.Context(), 0, old, head) {
			if !errors.Is(err, events.ErrForeign) {
				t.Errorf("a position from before has error %v, want ErrForeign", err)
			}
			break
		}
	}
	p.wantResumed(t, server, cfg, log)
}

// wantResumed checks that folding resumes where the snapshot was, and that lost events can be sent again.
func (p *backup) wantResumed(t *testing.T, server *eventstest.Server, cfg eventlog.Config, log *eventlog.Log) {
	t.Helper()
	store := snapshot.New(server.Client(t), cfg, log.Facts(), nil)
	g, err := store.Active(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := store.Offsets(t.Context(), g)
	if err != nil || len(offsets) != p.cfg.Partitions {
		t.Fatalf("%d offsets, %v", len(offsets), err)
	}
	part := events.PartitionOf("a", p.cfg.Partitions)
	from := offsets[part].Live
	if want := p.kept[9].Revision.Number; from.Number != want || offsets[part].Series.Number != want {
		t.Errorf("folded up to %+v, want %d", offsets[part], want)
	}
	again, err := log.Append(t.Context(), append(eventstest.Events("a", 0, 10), eventstest.Events("a", 100, 10)...))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range again {
		if a.Created != (i >= 10) {
			t.Errorf("event %d sent again is created: %v", i, a.Created)
		}
	}
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for ev, err := range log.Read(t.Context(), part, from, head) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.Key)
	}
	for _, a := range p.lost {
		want = append(want, a.Key)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("after the stored offsets are %d events, want the %d that were lost and sent again", len(got), len(want))
	}
}

func TestItIsDoneOnceAndOnlyToARestoredLog(t *testing.T) {
	p := newBackup(t)
	_, plain := p.startRestored(t, 0)
	if err := Run(t.Context(), Config{}, plain, io.Discard, nil); !errors.Is(err, ErrNotRestored) {
		t.Errorf("restored without a bump: %v, want ErrNotRestored", err)
	}
	if err := Run(t.Context(), Config{Force: true}, plain, io.Discard, nil); err != nil {
		t.Errorf("forced: %v", err)
	}
	if err := Run(t.Context(), Config{}, eventstest.Config(t), io.Discard, nil); !errors.Is(err, ErrNotRestored) {
		t.Errorf("a log that was never restored: %v, want ErrNotRestored", err)
	}
	_, cfg := p.startRestored(t, bump)
	if err := Run(t.Context(), Config{}, cfg, io.Discard, nil); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Config{}, cfg, io.Discard, nil); !errors.Is(err, ErrDone) {
		t.Errorf("a second time: %v, want ErrDone", err)
	}
	if _, err := eventstest.OpenLog(t, cfg).Append(t.Context(), eventstest.Events("b", 0, 3)); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Config{}, cfg, io.Discard, nil); !errors.Is(err, ErrDone) {
		t.Errorf("later: %v, want ErrDone", err)
	}
}

// A run after a crash between any two writes completes the work.
func TestItCanBeInterruptedAnywhere(t *testing.T) {
	p := newBackup(t)
	for writes := 1; ; writes++ {
		server, cfg := p.startRestored(t, bump)
		left, dead := writes, errors.New("killed")
		killed := cfg
		killed.Connect = func(lg *slog.Logger) (*clientv3.Client, error) {
			c, err := cfg.Dial(lg)
			if err == nil {
				c.KV = &eventstest.KV{KV: c.KV, Before: func(call string) error {
					if call != "txn" {
						return nil
					}
					if left--; left < 0 {
						return dead
					}
					return nil
				}}
			}
			return c, err
		}
		err := Run(t.Context(), Config{}, killed, io.Discard, nil)
		if err == nil {
			if writes < 4 {
				t.Errorf("it made %d writes: too few to be interrupted", writes)
			}
			return
		}
		if !errors.Is(err, dead) {
			t.Fatalf("interrupted after %d writes: %v", writes-1, err)
		}
		if err := Run(t.Context(), Config{}, cfg, io.Discard, nil); err != nil {
			t.Fatalf("run again after %d writes: %v", writes-1, err)
		}
		log := eventstest.OpenLog(t, cfg)
		if log.Facts().Epoch == p.facts.Epoch {
			t.Fatal("the epoch is the old one")
		}
		t.Run(fmt.Sprint(writes), func(t *testing.T) { p.wantResumed(t, server, cfg, log) })
	}
}
