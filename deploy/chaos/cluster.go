package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// The processes.
const (
	members    = 3
	ingesters  = 2
	collectors = 3
	queriers   = 2
	daemons    = ingesters + collectors + queriers
	partitions = 16

	leader = -1 // as the target of a fault: the member that leads
)

// daemon is a process of ours and its ways to etcd.
type daemon struct {
	*process
	kind    string
	base    string   // address of its service, "" where it has none
	admin   string   // address of its admin listener
	proxies []*proxy // by member of etcd
	tap     *tap
	dir     string
}

// cluster is everything that runs.
type cluster struct {
	etcd    []*process
	clients []string // addresses of the members, past the proxies
	daemons []*daemon
	client  *clientv3.Client // past the proxies
	dir     string
	health  []string // addresses of the members for probes
	secrets *secrets // nil without access and TLS
	first   release  // of daemons at their first start
	present release
}

// openCluster lays everything out in dir and starts nothing but proxies. The daemons are of the release first until they are exchanged.
func openCluster(dir string, ttl time.Duration, first, present release, sec *secrets) (*cluster, error) {
	c := &cluster{dir: dir, secrets: sec, first: first, present: present}
	for _, sub := range []string{"logs", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	ports, err := freePorts(3*members + 2*daemons)
	if err != nil {
		return nil, err
	}
	take := func() string {
		address := ports[0]
		ports = ports[1:]
		return address
	}
	if err := c.layEtcd(take); err != nil {
		return nil, err
	}
	for i := range ingesters {
		base, name := take(), fmt.Sprintf("ingestd-%d", i)
		if err := c.addProcess("ingestd", name, base, take(), flagsOf("http", base, "-ingest.append-timeout=10s", "-upload-dir="+filepath.Join(dir, "data", name))); err != nil {
			return nil, err
		}
	}
	for i := range collectors {
		name := fmt.Sprintf("collectd-%d", i)
		if err := c.addProcess("collectd", name, "", take(), []string{
			"-partition.data-dir=" + filepath.Join(dir, "data", name), "-partition.lease-ttl=" + ttl.String(), c.compactFlag()}); err != nil {
			return nil, err
		}
	}
	for i := range queriers {
		base, name := take(), fmt.Sprintf("queryd-%d", i)
		host, port, _ := net.SplitHostPort(base) // take returns host:port
		if err := c.addProcess("queryd", name, base, take(), []string{"-query.host=" + host, "-port=" + port, "-live.heartbeat=1s"}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// compactFlag returns the flag that lets collectd compact etcd's history unless only root may, as the runbook of etcd's users has it.
func (c *cluster) compactFlag() string {
	if c.secrets == nil {
		return "-compact.interval=5m"
	}
	return "-compact.interval=-1s"
}

// layEtcd lays the members out, and opens the client that goes past the proxies, as root.
func (c *cluster) layEtcd(take func() string) error {
	scheme := c.secrets.scheme()
	var initial, peers []string
	for i := range members {
		c.clients, peers, c.health = append(c.clients, take()), append(peers, take()), append(c.health, "http://"+take())
		initial = append(initial, fmt.Sprintf("etcd-%d=%s%s", i, scheme, peers[i]))
	}
	for i := range members {
		name := fmt.Sprintf("etcd-%d", i)
		c.etcd = append(c.etcd, &process{name: name, binary: filepath.Join(c.dir, "etcd"), logs: filepath.Join(c.dir, "logs"), args: append([]string{
			"--name", name, "--data-dir", filepath.Join(c.dir, "data", name), "--log-level", "error", "--logger", "zap",
			"--listen-client-urls", scheme + c.clients[i], "--advertise-client-urls", scheme + c.clients[i],
			"--listen-peer-urls", scheme + peers[i], "--initial-advertise-peer-urls", scheme + peers[i], "--listen-metrics-urls", c.health[i],
			"--initial-cluster", strings.Join(initial, ",")}, c.secrets.memberFlags()...)})
	}
	var err error
	c.client, err = c.config().Dial(nil)
	return err
}

// passage returns the TLS of the proxies of a kind of daemon.
func (c *cluster) passage(kind string) (*passage, error) {
	if c.secrets == nil {
		return nil, nil
	}
	server, err := c.secrets.serverConfig(serverName)
	if err != nil {
		return nil, err
	}
	client, err := c.secrets.clientConfig(kind)
	return &passage{server, client}, err
}

// flagsOf returns the flags of a listener, and more.
func flagsOf(prefix, address string, more ...string) []string {
	host, port, _ := net.SplitHostPort(address) // our own address
	return append([]string{"-" + prefix + ".host=" + host, "-" + prefix + ".port=" + port}, more...)
}

func (c *cluster) addProcess(kind, name, base, admin string, flags []string) error {
	d := &daemon{kind: kind, admin: c.secrets.scheme() + admin, dir: filepath.Join(c.dir, "data", name), tap: &tap{writer: name}}
	if base != "" {
		d.base = c.secrets.scheme() + base
	}
	secure, err := c.passage(kind)
	if err != nil {
		return err
	}
	var endpoints []string
	for _, member := range c.clients {
		seen := d.tap
		if kind != "collectd" {
			seen = nil
		}
		p, err := openProxy(member, seen, secure)
		if err != nil {
			return err
		}
		d.proxies = append(d.proxies, p)
		endpoints = append(endpoints, c.secrets.scheme()+p.address())
	}
	flags = append(flags, flagsOf("admin", admin, "-etcd.endpoints="+strings.Join(endpoints, ","), fmt.Sprintf("-cluster.partitions=%d", partitions))...)
	flags = append(append(flags, c.secrets.listenerFlags()...), c.secrets.etcdFlags(kind)...)
	d.process = &process{name: name, binary: c.first.program(kind), args: flags, logs: filepath.Join(c.dir, "logs")}
	c.daemons = append(c.daemons, d)
	return nil
}

// processesOf returns the daemons of a kind.
func (c *cluster) processesOf(kind string) []*daemon {
	var some []*daemon
	for _, d := range c.daemons {
		if d.kind == kind {
			some = append(some, d)
		}
	}
	return some
}

// baseURLs returns the URLs at which the daemons of a kind serve.
func (c *cluster) baseURLs(kind string) []string {
	var all []string
	for _, d := range c.processesOf(kind) {
		all = append(all, d.base)
	}
	return all
}
