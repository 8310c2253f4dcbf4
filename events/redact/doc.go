// Package redact keeps secrets out of logs: records go in, and come out without the values of attributes whose keys name a secret.
//
// NewHandler wraps the handler at the root of a logger, so that it sees the attributes of every logger that is made of it. It looks into
// groups, into results of LogValuer, into maps and HTTP headers, and into texts for passwords in URLs and for private keys. It does not look into the
// fields of structs: those are logged by the names that their authors chose for them, one by one.
//
// Numbers, times and truth values stay, by any key: they count secrets, or say when one expires.
package redact
