package history

import (
	"sync/atomic"

	"telemetry-pipeline/events/archive"
	"telemetry-pipeline/projections"
)

// Plan counts what the answer to a query took, over all hosts. The zero value is ready to use; it is complete when the query has
// returned.
type Plan struct {
	Hosts    atomic.Int64 // that were read
	Stored   atomic.Int64 // windows of hosts that have chunks in etcd
	Chunks   atomic.Int64 // of these windows
	Rolled   atomic.Int64 // windows that were answered from the archive's sums
	Repeated atomic.Int64 // windows of which sums could not be added, because they may share records
	Recorded atomic.Int64 // windows of which records were read, from chunks and the archive
	Archive  archive.Cost
}

// addWindows counts the windows of a host that are read record by record.
func (p *Plan) addWindows(windows int, chunks []projections.WindowChunks) {
	p.Recorded.Add(int64(windows))
	p.Stored.Add(int64(len(chunks)))
	for _, c := range chunks {
		p.Chunks.Add(int64(len(c.Keys)))
	}
}
