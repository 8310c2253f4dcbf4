// Package etcdusers creates the users and roles of this system in etcd: the command access of collectd.
//
// In: a connection to etcd, before authentication is enabled or with the rights of root after that, and the names of the
// users. Out: the roles root, ingestd, collectd and queryd with their key ranges, and a user for each name, which etcd knows by the
// common name of its certificate. Every object is reported as created or found, so a second run changes nothing and says so.
// Authentication is enabled on request only, and only if the caller could still administrate etcd afterwards. It never removes a
// right, and neither prints nor changes the password of a user that exists.
package etcdusers
