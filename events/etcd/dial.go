package etcd

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// gRPC probes a connection that has been silent for keepAliveTime, and closes it keepAliveTimeout later. It accepts
// no shorter time. A lease that is kept alive over such a connection needs TTL > keepAliveTime + keepAliveTimeout +
// TTL/3, so 20s.
const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 3 * time.Second
)

// Connection holds the address of etcd and the credentials to reach it.
type Connection struct {
	Endpoints   string        // comma-separated: host:port, http://, https:// or unix:///path
	DialTimeout time.Duration // of the client's first connection

	CertFile string // client certificate; its common name may be the etcd user
	KeyFile  string
	CAFile   string // authorities of etcd's certificate; the system's when empty
	Username string // only if etcd checks passwords
	Password string
}

// Dial opens a client; keep leases, writes and bulk watches on clients of their own. It returns at once, whether or not
// etcd answers. The client logs to lg at debug level; its errors reach the callers of its methods. The caller closes it.
func (c Connection) Dial(lg *slog.Logger) (*clientv3.Client, error) {
	endpoints, err := c.parseEndpoints()
	if err != nil {
		return nil, err
	}
	secure, err := c.tlsConfig(endpoints)
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialTimeout:          c.DialTimeout,
		DialKeepAliveTime:    keepAliveTime,
		DialKeepAliveTimeout: keepAliveTimeout,
		TLS:                  secure,
		Username:             c.Username,
		Password:             c.Password,
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnectParams())},
		Logger:               zapTo(lg),
	})
	if err != nil {
		return nil, c.ExplainRefusal(fmt.Errorf("connecting to etcd at %s: %w", c.Endpoints, err))
	}
	return client, nil
}

// reconnectParams returns the pauses between attempts to reach an endpoint. gRPC's defaults grow to two minutes,
// during which a recovered etcd would go unnoticed.
func reconnectParams() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
		MinConnectTimeout: 5 * time.Second,
	}
}

// parseEndpoints returns the endpoints of the list. It trims blanks and drops empty endpoints.
func (c Connection) parseEndpoints() ([]string, error) {
	var list []string
	for part := range strings.SplitSeq(c.Endpoints, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if scheme, rest, found := strings.Cut(part, "://"); found && (rest == "" || !knownScheme(scheme)) {
			return nil, fmt.Errorf("etcd endpoint %q: write host:port, http://host:port, https://host:port or unix:///path", part)
		}
		list = append(list, part)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("etcd endpoints %q: name at least one, such as http://localhost:2379", c.Endpoints)
	}
	return list, nil
}

func knownScheme(scheme string) bool {
	switch scheme {
	case "http", "https", "unix", "unixs":
		return true
	}
	return false
}

// tlsConfig returns the TLS configuration of the client, or nil if no setting requires TLS. The files are read for
// each handshake, so that renewed certificates need no restart.
func (c Connection) tlsConfig(endpoints []string) (*tls.Config, error) {
	files := c.CertFile != "" || c.KeyFile != "" || c.CAFile != ""
	secure := files
	for _, e := range endpoints {
		switch {
		case strings.HasPrefix(e, "https://"), strings.HasPrefix(e, "unixs://"):
			secure = true
		case files && strings.HasPrefix(e, "http://"):
			return nil, fmt.Errorf("etcd endpoint %s is not encrypted, but certificate files are set: write https:// or leave the files out",
				e)
		}
	}
	if !secure {
		return nil, nil
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return nil, fmt.Errorf("etcd client certificate %q and key %q: set both or none", c.CertFile, c.KeyFile)
	}
	info := transport.TLSInfo{CertFile: c.CertFile, KeyFile: c.KeyFile, TrustedCAFile: c.CAFile}
	config, err := info.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading etcd's certificate files %s: %w",
			cmp.Or(strings.Trim(c.CertFile+" "+c.CAFile, " "), "(none)"), err)
	}
	return config, nil
}
