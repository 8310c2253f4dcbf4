package etcdusers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/events/eventlog"
)

// Run creates the users and roles for the log at root, and enables authentication if Config.Enable is set. It writes a line
// to out for each object that it created or found.
func Run(ctx context.Context, cfg Config, root eventlog.Config, out io.Writer, lg *slog.Logger) error {
	if err := cfg.checkNames(); err != nil {
		return err
	}
	password, err := cfg.readRootPassword()
	if err != nil {
		return err
	}
	client, err := root.Dial(lg)
	if err != nil {
		return err
	}
	defer client.Close()
	within, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("etcd at %s did not answer everything within %s", root.Endpoints, timeout))
	defer cancel()
	s := &setup{cfg: cfg, root: root, auth: client.Auth, out: out, password: password}
	err = s.apply(within)
	if err != nil && within.Err() != nil {
		return errors.Join(err, root.CheckHandshake(ctx))
	}
	return root.ExplainRefusal(err)
}

// setup is one run of the command.
type setup struct {
	cfg      Config
	root     eventlog.Config
	auth     clientv3.Auth
	out      io.Writer
	password string // of the user root, "" for none

	changes int
}

func (s *setup) apply(ctx context.Context) error {
	roles := planRoles(s.cfg, s.root)
	for _, r := range roles {
		if err := s.applyRole(ctx, r); err != nil {
			return fmt.Errorf("role %s: %w", r.name, err)
		}
	}
	for _, r := range roles {
		for _, name := range r.users {
			if err := s.applyUser(ctx, name, r.name); err != nil {
				return fmt.Errorf("user %s: %w", name, err)
			}
		}
	}
	if err := s.enable(ctx); err != nil {
		return err
	}
	if s.changes == 0 {
		fmt.Fprintln(s.out, "nothing was changed")
	}
	return nil
}

// applyRole creates a role and grants its missing permissions. Permissions that are not planned are shown and stay.
func (s *setup) applyRole(ctx context.Context, r role) error {
	there, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.AuthRoleGetResponse, error) { return s.auth.RoleGet(ctx, r.name) })
	switch {
	case errors.Is(err, rpctypes.ErrRoleNotFound):
		there = &clientv3.AuthRoleGetResponse{}
		if err := s.create(ctx, rpctypes.ErrRoleAlreadyExist, func(ctx context.Context) error { _, err := s.auth.RoleAdd(ctx, r.name); return err }); err != nil {
			return err
		}
		s.reportChange("role %s: created", r.name)
	case err != nil:
		return err
	default:
		s.report("role %s: found", r.name)
	}
	for _, p := range r.permissions {
		if slices.ContainsFunc(there.Perm, p.isGrantedBy) {
			s.report("role %s: may %s", r.name, p)
			continue
		}
		if err := s.create(ctx, nil, func(ctx context.Context) error {
			_, err := s.auth.RoleGrantPermission(ctx, r.name, p.prefix, p.end(), p.kind)
			return err
		}); err != nil {
			return err
		}
		s.reportChange("role %s: may %s from now on", r.name, p)
	}
	s.reportOthers(r, there.Perm)
	return nil
}

// isGrantedBy reports whether a stored permission is this one.
func (p permission) isGrantedBy(stored *authpb.Permission) bool {
	return string(stored.Key) == p.prefix && string(stored.RangeEnd) == p.end() && clientv3.PermissionType(stored.PermType) == p.kind
}

// reportOthers shows permissions that a role has beyond the planned ones, such as of another log on the same etcd.
func (s *setup) reportOthers(r role, stored []*authpb.Permission) {
	for _, other := range stored {
		planned := slices.ContainsFunc(r.permissions, func(p permission) bool { return string(other.Key) == p.prefix && string(other.RangeEnd) == p.end() })
		if !planned && r.name != rootUser {
			s.report("role %s: also has permission %s from key %q to %q; it stays", r.name, other.PermType, other.Key, other.RangeEnd)
		}
	}
}

// applyUser creates a user and grants its role. Roles that are not planned are shown and stay.
func (s *setup) applyUser(ctx context.Context, name, of string) error {
	there, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.AuthUserGetResponse, error) { return s.auth.UserGet(ctx, name) })
	switch {
	case errors.Is(err, rpctypes.ErrUserNotFound):
		there = &clientv3.AuthUserGetResponse{}
		if err := s.addUser(ctx, name); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		s.report("user %s: found", name)
	}
	for _, other := range there.Roles {
		if other != of {
			s.report("user %s: also has role %s; it stays", name, other)
		}
	}
	if slices.Contains(there.Roles, of) {
		s.report("user %s: has role %s", name, of)
		return nil
	}
	if err := s.create(ctx, nil, func(ctx context.Context) error { _, err := s.auth.UserGrantRole(ctx, name, of); return err }); err != nil {
		return err
	}
	s.reportChange("user %s: has role %s from now on", name, of)
	return nil
}

// addUser creates a user without password, except root if there is a password for it.
func (s *setup) addUser(ctx context.Context, name string) error {
	password, how := "", "without password, for a certificate with this common name"
	if name == rootUser && s.password != "" {
		password, how = s.password, "with the password of the file"
	}
	err := s.create(ctx, rpctypes.ErrUserAlreadyExist, func(ctx context.Context) error {
		_, err := s.auth.UserAddWithOptions(ctx, name, password, &clientv3.UserAddOptions{NoPassword: password == ""})
		return err
	})
	if err == nil {
		s.reportChange("user %s: created, %s", name, how)
	}
	return err
}

// create repeats a request that changes something until etcd answers it. An answer that the object exists is success: an
// earlier attempt, or another administrator, has created it.
func (s *setup) create(ctx context.Context, exists error, do func(ctx context.Context) error) error {
	_, err := etcd.Write(ctx, func(ctx context.Context, _ bool) (struct{}, error) { return struct{}{}, do(ctx) })
	if exists != nil && errors.Is(err, exists) {
		return nil
	}
	return err
}

func (s *setup) report(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *setup) reportChange(format string, args ...any) {
	s.changes++
	s.report(format, args...)
}
