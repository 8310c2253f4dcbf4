// Package uploads keeps the state of uploads that outlive their request: those processed in the background,
// and long streams.
//
// In: how the uploads of this process fare. Out: the same in etcd, under uploads/{cluster-id}/{upload-id},
// where every ingestd can tell of it; and a wish to cancel, from whichever ingestd was asked, to the one that
// has the upload.
//
// A state is written when it changes, progress within it once a second at most; nothing waits for etcd unless
// it asks to. While etcd is away the states of this process are known to this process. A state is gone 24 h
// after its upload has ended, by its lease, and earlier when there are more than a thousand: the oldest of
// those that have ended.
//
// It never holds an upload's bytes, and never decides what becomes of one.
package uploads
