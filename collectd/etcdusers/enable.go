package etcdusers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/etcd"
)

const (
	timeout      = 20 * time.Second // of the whole command
	probeTimeout = 2 * time.Second  // for an endpoint to serve a client without certificate
)

// enable enables authentication if it is asked for, or says how to.
func (s *setup) enable(ctx context.Context) error {
	status, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.AuthStatusResponse, error) { return s.auth.AuthStatus(ctx) })
	if err != nil {
		return fmt.Errorf("asking whether authentication is enabled: %w", err)
	}
	switch {
	case status.Enabled:
		s.report("authentication: is enabled")
		return nil
	case !s.cfg.Enable:
		s.report("authentication: is NOT enabled, every client may do everything. Once each daemon has its certificate, run this " +
			"command again with -enable and the certificate of root (docs/runbooks/etcd-access.md)")
		return nil
	}
	if err := s.checkLockout(ctx); err != nil {
		return fmt.Errorf("authentication was not enabled: %w", err)
	}
	if err := s.create(ctx, nil, func(ctx context.Context) error { _, err := s.auth.AuthEnable(ctx); return err }); err != nil {
		return fmt.Errorf("enabling authentication: %w", err)
	}
	if _, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.AuthUserListResponse, error) { return s.auth.UserList(ctx) }); err != nil {
		return fmt.Errorf("authentication is enabled, and listing the users failed: %w", err)
	}
	s.reportChange("authentication: is enabled from now on")
	return nil
}

// checkLockout refuses to enable authentication if nobody here could administrate etcd afterwards, or if etcd does not
// verify certificates: then it would know none of the users that have no password.
func (s *setup) checkLockout(ctx context.Context) error {
	if user := s.root.User(); !slices.Contains(s.cfg.admins(), user) {
		return fmt.Errorf("this command runs as %q, which is no administrator: run it with the certificate of one of %s (-etcd.cert, -etcd.key)",
			user, strings.Join(s.cfg.admins(), ", "))
	}
	for endpoint := range strings.SplitSeq(s.root.Endpoints, ",") {
		if s.servesAnybody(ctx, strings.TrimSpace(endpoint)) {
			return fmt.Errorf("etcd at %s serves clients without certificate: start every member with --client-cert-auth and --trusted-ca-file first",
				endpoint)
		}
	}
	return nil
}

// servesAnybody reports whether an endpoint answers a client that has no certificate.
func (s *setup) servesAnybody(ctx context.Context, endpoint string) bool {
	anybody := etcd.Connection{Endpoints: endpoint, CAFile: s.root.CAFile, DialTimeout: probeTimeout}
	if anybody.CheckHandshake(ctx) != nil {
		return false
	}
	client, err := anybody.Dial(slog.New(slog.DiscardHandler))
	if err != nil {
		return false
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_, err = client.Get(ctx, s.root.Key("config"))
	return err == nil
}
