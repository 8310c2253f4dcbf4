package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/klauspost/compress/zstd"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// cell is a metric of a GPU in the live view.
type cell struct{ gpu, metric string }

// version is the value of a cell from a revision on.
type version struct {
	rev   int64
	value string
}

// reference is the live view as it was at every revision, by the stored models in etcd. Every GPU of the workload lives on one
// host, so nothing needs to be merged.
type reference map[cell][]version

// newestStored is the record time that each cell of the stored live models has.
type newestStored map[cell]events.Timestamp

// addStored adds a live model as it was stored at a revision, and returns its readings that are older than the ones stored before.
func (n newestStored) addStored(rev int64, live *projections.Live) (back []string) {
	for _, e := range live.Entities {
		for _, l := range e.Latest {
			c := cell{string(e.Entity.GPU), l.Metric}
			if before, there := n[c]; there && l.At < before {
				back = append(back, fmt.Sprintf("%s of %s went from %s to %s at revision %d", c.metric, c.gpu, before, l.At, rev))
			}
			n[c] = l.At
		}
	}
	return back
}

// addReading takes in a host's live model as it was stored at a revision.
func (r reference) addReading(rev int64, live *projections.Live) {
	for _, e := range live.Entities {
		for _, l := range e.Latest {
			c := cell{string(e.Entity.GPU), l.Metric}
			versions, value := r[c], valueText(l.Value)
			if n := len(versions); n == 0 || versions[n-1].value != value {
				r[c] = append(versions, version{rev, value})
			}
		}
	}
}

// readingAt returns the value of a cell at a revision, "" when it was not there.
func (r reference) readingAt(c cell, rev int64) string {
	versions := r[c]
	i := sort.Search(len(versions), func(i int) bool { return versions[i].rev > rev })
	if i == 0 {
		return ""
	}
	return versions[i-1].value
}

// valueText writes a value as the workload names values.
func valueText(v events.Value) string {
	if v.Absent != events.Present {
		return "absent:" + v.Absent.String()
	}
	return string(v.Number.Append(nil))
}

// modelReader reads stored models by their description in docs/LOG.md, so that it does not share a mistake with the
// code that writes them.
type modelReader struct{ dec *zstd.Decoder }

func newModelReader() (modelReader, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	return modelReader{dec}, err
}

func (m modelReader) live(value []byte) (projections.Live, error) {
	body, err := m.unpackModel(value)
	if err != nil {
		return projections.Live{}, err
	}
	return projections.ParseLive(body)
}

// unpackModel takes the envelope off: tag, revision, length of upload id, upload id.
func (m modelReader) unpackModel(value []byte) ([]byte, error) {
	r := bytes.NewReader(value)
	tag, err := r.ReadByte()
	_, err1 := binary.ReadUvarint(r)
	length, err2 := binary.ReadUvarint(r)
	if err := errors.Join(err, err1, err2); err != nil || length > uint64(r.Len()) {
		return nil, fmt.Errorf("the envelope of %d bytes is cut short (%v)", len(value), err)
	}
	body := value[len(value)-r.Len()+int(length):]
	switch tag {
	case 1:
		return body, nil
	case 2:
		return m.dec.DecodeAll(body, nil)
	}
	return nil, fmt.Errorf("encoding %d is not known", tag)
}
