package eventlog

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
)

// The defaults of Config.
const (
	DefaultEndpoints   = "http://localhost:2379"
	DefaultRoot        = "/telemetry"
	DefaultClusterID   = "default-cluster"
	DefaultPartitions  = 64
	DefaultDialTimeout = 5 * time.Second
	DefaultWatchBytes  = 4 << 20
	DefaultProgress    = 2 * time.Second
)

// Config locates the log. The zero value of each field means its default.
type Config struct {
	Endpoints   string        // comma-separated; flag etcd.endpoints, env ETCD_ENDPOINTS
	Root        string        // default /telemetry
	ClusterID   string        // default default-cluster; env CLUSTER_ID
	Partitions  int           // zero: the log's own number, 64 for a new log; another number must agree with the log's Facts
	DialTimeout time.Duration // how long Open tries, default 5s
	WatchBytes  int           // bound of a Watch's queue, default 4 MiB
	Progress    time.Duration // a Watch that is quiet for this long asks etcd for its progress, default 2s

	CertFile string // client certificate; its common name may be the etcd user
	KeyFile  string
	CAFile   string // authorities that sign etcd's certificate; the system's when empty
	Username string // only where etcd checks passwords
	Password string

	// Connect, if set, opens every client in place of dialling Endpoints with TLS and user. Tests use it to put
	// something between a process and its etcd, or to run without etcd. It has no flag.
	Connect func(*slog.Logger) (*clientv3.Client, error)

	// Cut, if set, holds the rules that a new log is created with and an existing one must have. They are facts of a
	// log and so have no flags.
	Cut events.CutRules
}

// Flags registers the flags. WatchBytes and Progress have none: no deployment needs values other than the defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.withDefaults()
	fs.StringVar(&c.Endpoints, "etcd.endpoints", d.Endpoints,
		"etcd endpoints, comma-separated: host:port, http://, https:// or unix:///path")
	fs.StringVar(&c.Root, "etcd.root", d.Root, "prefix of every key in etcd")
	fs.StringVar(&c.ClusterID, "cluster.id", d.ClusterID, "name of the GPU cluster; each has a log of its own")
	fs.IntVar(&c.Partitions, "cluster.partitions", c.Partitions,
		fmt.Sprintf("number of partitions, fixed when a log is first used; 0 takes what the log has, %d for a new one", DefaultPartitions))
	fs.DurationVar(&c.DialTimeout, "etcd.dial-timeout", d.DialTimeout, "how long to try to reach etcd at start")
	fs.StringVar(&c.CertFile, "etcd.cert", c.CertFile, "client certificate file (PEM)")
	fs.StringVar(&c.KeyFile, "etcd.key", c.KeyFile, "key file of the client certificate (PEM)")
	fs.StringVar(&c.CAFile, "etcd.ca", c.CAFile,
		"file of the authorities that sign etcd's certificate (PEM); the system's when empty")
	fs.StringVar(&c.Username, "etcd.username", c.Username, "etcd user, where etcd checks passwords")
	fs.StringVar(&c.Password, "etcd.password", c.Password, "password of the etcd user; it is taken from the environment only")
}

// Key returns the key of a part of the cluster's data: {root}/{kind}/{cluster-id}, followed by the segments. The
// cluster id is escaped; segments are used as they are, so a caller that puts a name into one must escape it
// (Escape).
func (c Config) Key(kind string, segments ...string) string {
	c = c.withDefaults()
	return strings.Join(append([]string{c.Root, kind, events.Escape(c.ClusterID)}, segments...), "/")
}

// Prefix returns Key with a closing slash, the common prefix of all keys below it.
func (c Config) Prefix(kind string, segments ...string) string {
	return c.Key(kind, segments...) + "/"
}

func (c Config) withDefaults() Config {
	c.Endpoints = cmp.Or(c.Endpoints, DefaultEndpoints)
	c.Root = cmp.Or(c.Root, DefaultRoot)
	c.ClusterID = cmp.Or(c.ClusterID, DefaultClusterID)
	c.DialTimeout = cmp.Or(c.DialTimeout, DefaultDialTimeout)
	c.WatchBytes = cmp.Or(c.WatchBytes, DefaultWatchBytes)
	c.Progress = cmp.Or(c.Progress, DefaultProgress)
	return c
}

// Dial opens a new client for the configured etcd, as etcd.Connection does; with Config.Connect it calls that
// function instead.
func (c Config) Dial(lg *slog.Logger) (*clientv3.Client, error) {
	if c.Connect != nil {
		return c.Connect(lg)
	}
	return c.connection().Dial(lg)
}

// connection returns the address of etcd and the credentials.
func (c Config) connection() etcd.Connection {
	c = c.withDefaults()
	return etcd.Connection{
		Endpoints: c.Endpoints, DialTimeout: c.DialTimeout,
		CertFile: c.CertFile, KeyFile: c.KeyFile, CAFile: c.CAFile, Username: c.Username, Password: c.Password,
	}
}

// Metrics registers the metrics of the connection, as etcd.Connection does.
func (c Config) Metrics(reg prometheus.Registerer) error { return c.connection().Metrics(reg) }

// User returns the etcd user of this process, as etcd.Connection does.
func (c Config) User() string { return c.connection().User() }

// CheckHandshake returns the reason why TLS with etcd fails, or nil, as etcd.Connection does.
func (c Config) CheckHandshake(ctx context.Context) error {
	if c.Connect != nil {
		return nil
	}
	return c.connection().CheckHandshake(ctx)
}

// ExplainRefusal adds the user and the cure to an error of etcd that refuses this process something, as etcd.Connection
// does.
func (c Config) ExplainRefusal(err error) error { return c.connection().ExplainRefusal(err) }

// Silence returns the longest time that a watch on this etcd may hear nothing.
func (c Config) Silence() etcd.Silence { return etcd.SilenceAfter(c.withDefaults().Progress) }

// checkSettings refuses settings that cannot work. It expects a Config with defaults.
func (c Config) checkSettings() error {
	switch {
	case !strings.HasPrefix(c.Root, "/") || strings.HasSuffix(c.Root, "/"):
		return fmt.Errorf("root %q of the keys in etcd: it starts with a slash and does not end in one, such as %s",
			c.Root, DefaultRoot)
	case c.Partitions < 0 || c.Partitions > events.MaxPartitions:
		return fmt.Errorf("%d partitions: from 1 to %d, or 0 for what the log has", c.Partitions, events.MaxPartitions)
	case c.DialTimeout < 0 || c.WatchBytes < 0 || c.Progress < 0:
		return fmt.Errorf("dial timeout %s, watch bytes %d, progress %s: none may be negative", c.DialTimeout, c.WatchBytes, c.Progress)
	}
	return nil
}
