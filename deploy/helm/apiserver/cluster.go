package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// cluster is an etcd, an API server on it, and clients of the API server.
type cluster struct {
	kubeconfig string
	objects    dynamic.Interface
	discovered discovery.CachedDiscoveryInterface
	kinds      *restmapper.DeferredDiscoveryRESTMapper
	processes  []*process // in order of their start
}

// patience bounds the wait for a server that starts on a busy machine.
const patience = 3 * time.Minute

// startCluster starts the servers with their data in a folder, and waits until the API server is ready.
func startCluster(ctx context.Context, p programs, dir string) (_ *cluster, err error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig")}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if err := c.startEtcd(p.etcd, dir, ports[0], ports[1]); err != nil {
		return nil, err
	}
	if err := c.startAPIServer(p.apiserver, dir, ports[0], ports[2]); err != nil {
		return nil, err
	}
	if err := c.connect(dir, ports[2]); err != nil {
		return nil, err
	}
	return c, c.awaitReady(ctx)
}

func (c *cluster) startEtcd(program, dir, client, peer string) error {
	peers := "http://127.0.0.1:" + peer
	return c.start(dir, "etcd", program, "--data-dir", filepath.Join(dir, "etcd"), "--listen-client-urls", "http://127.0.0.1:"+client,
		"--advertise-client-urls", "http://127.0.0.1:"+client, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
		"--initial-cluster", "default="+peers, "--unsafe-no-fsync")
}

func (c *cluster) startAPIServer(program, dir, etcd, port string) error {
	key, tokens := filepath.Join(dir, "accounts.pem"), filepath.Join(dir, "tokens.csv")
	if err := errors.Join(writeKey(key), os.WriteFile(tokens, []byte(adminToken+",admin,admin,system:masters\n"), 0o600)); err != nil {
		return err
	}
	return c.start(dir, "kube-apiserver", program, "--etcd-servers", "http://127.0.0.1:"+etcd,
		"--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", port, "--cert-dir", certificates(dir),
		"--endpoint-reconciler-type", "none", // a loopback address is refused as an endpoint
		"--service-account-issuer", "https://127.0.0.1", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--service-cluster-ip-range", "10.96.0.0/16", "--authorization-mode", "RBAC", "--token-auth-file", tokens,
		"--allow-privileged") // as in usual clusters, so that Pod Security alone refuses privileged pods
}

// adminToken is known to this machine's processes only as long as the API server runs, which stores nothing.
const adminToken = "apiserver-check"

// certificates is the folder in which the API server makes its certificate.
func certificates(dir string) string { return filepath.Join(dir, "certificates") }

// connect makes the clients and the file that configures helm.
func (c *cluster) connect(dir, port string) error {
	address, ca := "https://127.0.0.1:"+port, filepath.Join(certificates(dir), "apiserver.crt")
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: check
contexts: [{name: check, context: {cluster: check, user: admin}}]
clusters: [{name: check, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: admin, user: {token: %q}}]
`, address, ca, adminToken)
	if err := os.WriteFile(c.kubeconfig, []byte(config), 0o600); err != nil {
		return err
	}
	// The server writes the certificate early in its start; clients that read it before would fail for good.
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if _, err := os.Stat(ca); err == nil {
			break
		}
		if err := c.endedEarly(); err != nil || time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("the API server made no certificate"), err)
		}
	}
	cfg := &rest.Config{Host: address, BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{CAFile: ca}, QPS: 500, Burst: 500}
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return err
	}
	discovered, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return err
	}
	c.objects, c.discovered = objects, memory.NewMemCacheClient(discovered)
	c.kinds = restmapper.NewDeferredDiscoveryRESTMapper(c.discovered)
	return nil
}

// awaitReady waits until the API server has its default namespace, the last thing that it makes.
func (c *cluster) awaitReady(ctx context.Context) error {
	namespaces := c.objects.Resource(resource("", "v1", "namespaces"))
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		_, err := namespaces.Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if early := c.endedEarly(); early != nil || ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("the API server is not ready: %w", errors.Join(err, early, ctx.Err()))
		}
	}
}

// writeKey writes a new key for the tokens of service accounts.
func writeKey(path string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600)
}

// freePorts returns ports of loopback that are free now.
func freePorts(n int) (ports []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = ln.Close() }()
		ports = append(ports, strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
