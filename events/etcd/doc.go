// Package etcd is the part of the etcd client that does not depend on the stored keys: connections, repeated requests,
// and watches that detect silence.
//
// # Requests
//
// Read and Write repeat a request until etcd's answer would not change, or until the context ends. A read moves on early
// from a member that does not answer; a write waits, since etcd may carry out every attempt.
//
// # Watches
//
// Watch.Run promises:
//
//   - Completeness: every change of its ranges after Watch.After is delivered once, in order of revision within a range,
//     and a Response that reaches up to a revision comes after all changes up to it. Repeats of a new watch are dropped.
//   - Liveness: a range that is quiet asks etcd for its progress. A watch that stops answering, or that no member of etcd
//     begins in time, is replaced by another one, which goes to the next member. One that is still catching up is left
//     alone. After Silence.Lost without any response Run returns a SilentError.
//   - Isolation: every watch has a gRPC stream of its own, which ends with it, and requires a leader. On a shared stream
//     etcd's answer to a progress request also reaches watches that began after etcd had made that answer: they would pass
//     over events.
//   - An end: Run returns only with an error: a CompactedError, a SilentError, ErrClosed, the cause of the context's end,
//     or an error of etcd, of Check or of the caller. The caller reads by key and watches again.
//
// It does not bound memory: etcd's client buffers without limit for a slow reader. A caller whose work is slow or
// unbounded runs the watch in a goroutine of its own with a Queue between them.
package etcd
