// Package jobs processes uploads in the background and publishes the states of uploads that last.
//
// In come the files of a request, which are on the disk (ingestd/spool) before StoreUpload returns; out go states
// (ingestd/uploads) and, at the end, the answer that the request would have had. A bounded number of uploads is
// processed at a time. After a restart the uploads on the disk are resumed; attempts that may succeed later are
// repeated.
//
// A live stream is processed by its request; a StreamTracker publishes its state meanwhile.
//
// It never appends itself: the server that it runs in processes files for it. It knows no HTTP.
package jobs
