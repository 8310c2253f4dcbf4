package events

import (
	"flag"
	"time"
)

// Config says where the log is. The zero value of each field means its default.
type Config struct {
	Endpoints   string        // comma-separated; flag etcd.endpoints, env ETCD_ENDPOINTS
	Root        string        // default /telemetry
	ClusterID   string        // default default-cluster; env CLUSTER_ID
	Partitions  int           // default 64; must agree with the log's Facts
	DialTimeout time.Duration // default 5s
	WatchBytes  int           // bound of a Watch's queue, default 4 MiB
}

// Flags registers the flags under the names above.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Endpoints, "etcd.endpoints", "", "etcd endpoints, comma-separated")
}
