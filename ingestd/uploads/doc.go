// Package uploads stores the state of uploads that outlive their request: those processed in the background, and long
// streams.
//
// In: the progress of this process's uploads. Out: the same state in etcd, under uploads/{cluster-id}/{upload-id},
// where every ingestd can read it; and cancel requests, passed from the ingestd that received one to the ingestd that
// processes the upload.
//
// A change of State is written at once, progress at most once a second; callers do not wait for etcd unless they ask
// to. While etcd is away, each process knows only its own uploads. A state's lease removes it 24 h after its upload
// has ended. When there are more than a thousand states, the oldest ended ones are removed earlier.
//
// It never holds an upload's bytes, and never decides an upload's result.
package uploads
