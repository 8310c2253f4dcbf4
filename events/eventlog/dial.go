package eventlog

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

// A connection that has been silent for keepAliveTime is probed and given up keepAliveTimeout later. gRPC
// takes no shorter time. A lease that is kept over such a connection needs TTL > keepAliveTime +
// keepAliveTimeout + TTL/3, so 20s.
const (
	keepAliveTime    = 10 * time.Second
	keepAliveTimeout = 3 * time.Second
)

// Dial opens a client of its own to the configured etcd (keep leases, writes and bulk watches apart). It
// returns at once, whether etcd is there or not. With Config.Connect it is that one's client. What the client has to say goes to lg at debug level; its
// errors reach whoever calls it. The caller closes it.
func (c Config) Dial(lg *slog.Logger) (*clientv3.Client, error) {
	if c.Connect != nil {
		return c.Connect(lg)
	}
	c = c.withDefaults()
	endpoints, err := c.endpoints()
	if err != nil {
		return nil, err
	}
	secure, err := c.tls(endpoints)
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
		DialOptions:          []grpc.DialOption{grpc.WithConnectParams(reconnect())},
		Logger:               zapTo(lg),
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd at %s: %w", c.Endpoints, err)
	}
	return client, nil
}

// reconnect is how an endpoint that went is tried again. gRPC's own pauses grow to two minutes, for which
// an etcd that is back would go unnoticed.
func reconnect() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
		MinConnectTimeout: 5 * time.Second,
	}
}

// endpoints takes the list apart. Blanks around an endpoint and empty ones are dropped.
func (c Config) endpoints() ([]string, error) {
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
		return nil, fmt.Errorf("etcd endpoints %q: name at least one, such as %s", c.Endpoints, DefaultEndpoints)
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

// tls gives the client's side of TLS, nil where nothing asks for it. The files are read again for each
// handshake, so that renewed certificates need no restart.
func (c Config) tls(endpoints []string) (*tls.Config, error) {
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
