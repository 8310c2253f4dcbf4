package program

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// etcd is the embedded server. It listens on unix sockets only, in a directory that only this user may
// enter, so nothing is exposed and no port can be taken.
type etcd struct {
	server   *embed.Etcd
	lock     *flock.Flock
	sockets  string
	endpoint string
}

// The settings of a single member on one disk, and why the default is wrong for it.
const (
	quotaBytes       = 2 << 30 // explicit, since admission is judged against it
	catchUpEntries   = 500     // kept in memory for followers, of which there are none
	compactionBatch  = 200     // rows per hold of the lock; values here are large
	defragAboveMiB   = 100     // at boot, when no client waits
	startTimeout     = 2 * time.Minute
	progressInterval = time.Second // how soon a quiet watch learns that nothing happened
)

// openEtcd starts etcd on dir and waits until it serves. A directory in use is refused.
func openEtcd(ctx context.Context, dir string, lg *slog.Logger) (*etcd, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if held, err := lock.TryLock(); err != nil {
		return nil, fmt.Errorf("locking the data directory %s: %w", dir, err)
	} else if !held {
		return nil, fmt.Errorf("data directory %s is in use by another process: stop that one, or give this one its own by -data-dir or DATA_DIR", dir)
	}
	sockets, err := socketDir(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a directory for etcd's sockets: %w", err), lock.Unlock())
	}
	e := &etcd{lock: lock, sockets: sockets, endpoint: "unix://" + filepath.Join(sockets, "client")}
	cfg := e.serverConfig(filepath.Join(dir, "etcd"))
	if e.server, err = embed.StartEtcd(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("starting etcd on %s: %w", cfg.Dir, err), e.close())
	}
	if err := e.awaitReady(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting etcd on %s: %w", cfg.Dir, err), e.close())
	}
	lg.Info("etcd is up", "dir", cfg.Dir, "endpoint", e.endpoint)
	return e, nil
}

// maxSocketPath leaves room for a name below it: the path of a socket has at most 108 bytes.
const maxSocketPath = 90

// notInSockets are characters that a socket's path cannot have where it is written as a URL, unescaped, or in a list of
// URLs, as etcd and its client write it.
const notInSockets = "%#?,"

// socketDir returns a directory for sockets: below dir, or in the system's temporary directory when dir's
// own path is too long for them, or none that they can have.
func socketDir(dir string) (string, error) {
	abs, err := filepath.Abs(filepath.Join(dir, "run"))
	if err != nil {
		return "", err
	}
	if len(abs) > maxSocketPath || strings.ContainsAny(abs, notInSockets) {
		return os.MkdirTemp("", "telemetry-etcd-")
	}
	return abs, os.MkdirAll(abs, 0o700)
}

func (e *etcd) serverConfig(dir string) *embed.Config {
	client, peer := socketURL(e.endpoint), socketURL("unix://"+filepath.Join(e.sockets, "peer"))
	cfg := embed.NewConfig()
	cfg.Name = "standalone"
	cfg.Dir = dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = client, client
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = peer, peer
	cfg.InitialCluster = cfg.Name + "=" + peer[0].String()
	// A fresh token makes a fresh cluster id, so that positions of a wiped directory are not taken for
	// ours. Later starts ignore it.
	cfg.InitialClusterToken = rand.Text()
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "5m"
	cfg.QuotaBackendBytes = quotaBytes
	cfg.SnapshotCatchUpEntries = catchUpEntries
	cfg.CompactionBatchLimit = compactionBatch
	cfg.WatchProgressNotifyInterval = progressInterval
	cfg.BootstrapDefragThresholdMegabytes = defragAboveMiB
	cfg.EnableGRPCGateway = false
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quietZap())
	return cfg
}

func socketURL(text string) []url.URL {
	return []url.URL{{Scheme: "unix", Path: text[len("unix://"):]}}
}

// quietZap shows the messages that etcd itself calls fatal: its errors reach us through its clients, and closing it
// logs closed listeners as errors.
func quietZap() *zap.Logger {
	cfg := zap.NewProductionConfig()
	cfg.Level = zap.NewAtomicLevelAt(zapcore.DPanicLevel)
	lg, err := cfg.Build()
	if err != nil {
		return zap.NewNop()
	}
	return lg
}

func (e *etcd) awaitReady(ctx context.Context) error {
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-e.server.Server.ReadyNotify():
		return nil
	case err := <-e.server.Err():
		return err
	case <-e.server.Server.StopNotify():
		return errors.New("it stopped while starting")
	case <-timer.C:
		return fmt.Errorf("not ready after %s", startTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close stops the server and frees the directory. Clients are closed before it.
func (e *etcd) close() error {
	if e.server != nil {
		e.server.Close()
	}
	return errors.Join(os.RemoveAll(e.sockets), e.lock.Unlock())
}
