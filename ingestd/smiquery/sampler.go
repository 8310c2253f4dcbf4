package smiquery

import (
	"errors"
	"strconv"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
)

// sampler assigns times to rows without a time: the time of the one query, or of queries repeated at an interval. A
// query ends where a GPU comes again, or where the index falls.
type sampler struct {
	at       time.Time // the time of all rows if start is zero
	start    time.Time
	interval time.Duration

	queries int64 // number of queries that have ended
	seen    map[events.GPUID]bool
	last    int64 // index of the row before
}

func newSampler(opt dialect.Options) *sampler {
	return &sampler{at: opt.At, start: opt.Start, interval: opt.Interval, seen: map[events.GPUID]bool{}, last: -1}
}

var errInterval = errors.New("the GPU was queried again, and when is not known; give the time between two queries with ?interval=, such as 5s")

// nextTime returns the time of the next row, which belongs to this GPU.
func (s *sampler) nextTime(host events.HostID, id *events.Identity) (time.Time, error) {
	if s.start.IsZero() {
		return s.at, nil
	}
	gpu := id.Entity(host).GPU
	index, err := strconv.ParseInt(id.Index, 10, 32)
	if err != nil {
		index = s.last
	}
	if s.seen[gpu] || index < s.last {
		s.queries++
		clear(s.seen)
	}
	s.seen[gpu], s.last = true, index
	if s.queries > 0 && s.interval == 0 {
		return time.Time{}, errInterval
	}
	return s.start.Add(time.Duration(s.queries) * s.interval), nil
}
