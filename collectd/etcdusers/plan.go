package etcdusers

import (
	"cmp"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections/snapshot"
)

// role is a role that etcd shall have, with its users.
type role struct {
	name        string
	permissions []permission
	users       []string
}

// permission is the right to read, write, or both, the keys with a prefix.
type permission struct {
	kind   clientv3.PermissionType
	prefix string // ends in a slash
}

// The kinds of permissions.
const (
	readOnly  = clientv3.PermissionType(clientv3.PermRead)
	writeOnly = clientv3.PermissionType(clientv3.PermWrite)
	readWrite = clientv3.PermissionType(clientv3.PermReadWrite)
)

func (p permission) end() string { return clientv3.GetPrefixRangeEnd(p.prefix) }

func (p permission) String() string {
	kinds := map[clientv3.PermissionType]string{readOnly: "read", writeOnly: "write", readWrite: "read and write"}
	return kinds[p.kind] + " " + p.prefix
}

// planRoles returns the roles for the log at root. All keys of this system are below its root: events, projections, claims,
// members, states of uploads and the manifest of the archive. queryd writes requests to retry quarantined events, and nothing else.
func planRoles(c Config, root eventlog.Config) []role {
	all := cmp.Or(root.Root, eventlog.DefaultRoot) + "/"
	return []role{
		{name: rootUser, users: c.admins()}, // etcd lets this role do everything
		{name: "ingestd", permissions: []permission{{readWrite, all}}, users: splitNames(c.Ingestd)},
		{name: "collectd", permissions: []permission{{readWrite, all}}, users: splitNames(c.Collectd)},
		{name: "queryd", permissions: []permission{{readOnly, all}, {writeOnly, snapshot.RetryRequestPrefix(root)}}, users: splitNames(c.Queryd)},
	}
}
