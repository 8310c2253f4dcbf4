package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

// offsetsForm is the form in which offsets are written. Form 1 is still read.
const offsetsForm = 2

// offsetsMembers are the members that every form has.
type offsetsMembers struct {
	Live    int64              `json:"live"`
	Series  int64              `json:"series"`
	HotFrom projections.Window `json:"hot_from"`
	Records int64              `json:"records,omitempty"`
	TxnID   string             `json:"mark"`            // identifies the transaction that wrote the value
	Trace   string             `json:"trace,omitempty"` // trace context of the transaction, if it is sampled
}

// offsetsForm1 was written up to model version 1. Epoch and cluster are hexadecimal text, since JSON numbers lose
// digits.
type offsetsForm1 struct {
	Epoch   string `json:"epoch"`
	Cluster string `json:"cluster"`
	offsetsMembers
}

// offsetsForm2 has an object where form 1 has the text of the epoch. The first programs do not look at the version:
// they leave out the models that they cannot read and serve the rest, even if the rest is nothing. They cannot decode
// the object, so they refuse to serve, fold or rewrite a generation with these offsets.
type offsetsForm2 struct {
	Version int     `json:"version"`
	Log     logName `json:"epoch"`
	offsetsMembers
}

// logName names the log to which offsets belong, in hexadecimal text.
type logName struct {
	ID      string `json:"id"`
	Cluster string `json:"cluster"`
}

// offsetsValue is a stored value of either form.
type offsetsValue struct {
	form           int
	epoch, cluster uint64
	offsetsMembers
}

func parseOffsets(value []byte) (v offsetsValue, err error) {
	if v.form, err = events.StoredJSONForm(value, offsetsForm); err != nil {
		return v, err
	}
	var name logName
	if v.form == 1 {
		var stored offsetsForm1
		err = json.Unmarshal(value, &stored)
		name, v.offsetsMembers = logName{stored.Epoch, stored.Cluster}, stored.offsetsMembers
	} else {
		var stored offsetsForm2
		err = json.Unmarshal(value, &stored)
		name, v.offsetsMembers = stored.Log, stored.offsetsMembers
	}
	var err2, err3 error
	v.epoch, err2 = strconv.ParseUint(name.ID, 16, 64)
	v.cluster, err3 = strconv.ParseUint(name.Cluster, 16, 64)
	return v, cmp.Or(err, err2, err3)
}

func (v offsetsValue) pack() string {
	name := logName{strconv.FormatUint(v.epoch, 16), strconv.FormatUint(v.cluster, 16)}
	var stored any = offsetsForm2{v.form, name, v.offsetsMembers}
	if v.form == 1 {
		stored = offsetsForm1{name.ID, name.Cluster, v.offsetsMembers}
	}
	value, err := json.Marshal(stored)
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	return string(value)
}

// packOffsets keeps the epoch and cluster of o, which belong to another log if the commit did not change them.
func (s *Store) packOffsets(o projections.Offsets, txnID string, from events.TraceContext) string {
	log := o.Live
	switch {
	case log.Number == 0 && o.Series.Number == 0:
		log = s.revisionAt(0)
	case log.Number == 0:
		log = o.Series
	}
	return offsetsValue{offsetsForm, uint64(log.Epoch), log.Cluster,
		offsetsMembers{Live: o.Live.Number, Series: o.Series.Number, HotFrom: o.HotFrom, Records: o.Records, TxnID: txnID, Trace: from.String()}}.pack()
}

// unpackOffsets keeps the stored epoch and cluster, so that a reader that continues from them notices another log.
func unpackOffsets(kv *mvccpb.KeyValue) (projections.Offsets, error) {
	v, err := parseOffsets(kv.Value)
	if err != nil {
		return projections.Offsets{}, &DamagedError{Key: string(kv.Key), Err: err}
	}
	at := func(number int64) events.Revision {
		if number == 0 {
			return events.Revision{}
		}
		return events.Revision{Epoch: events.Epoch(v.epoch), Cluster: v.cluster, Number: number}
	}
	return projections.Offsets{Live: at(v.Live), Series: at(v.Series), HotFrom: v.HotFrom, Records: v.Records}, nil
}

// Offsets returns the offsets of all partitions of a generation. WatchOffsets follows them.
func (s *Store) Offsets(ctx context.Context, g projections.Generation) (map[events.Partition]projections.Offsets, error) {
	all, _, err := s.offsetsAt(ctx, g, 0)
	return all, err
}

// offsetsAt returns the offsets at a revision (0: the newest), and that revision.
func (s *Store) offsetsAt(ctx context.Context, g projections.Generation, rev int64) (map[events.Partition]projections.Offsets, int64, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
		return s.kv.Get(ctx, s.keys.offsetsPrefix(g), clientv3.WithPrefix(), clientv3.WithRev(rev))
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reading offsets of generation %s: %w", g, err)
	}
	all := make(map[events.Partition]projections.Offsets, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		if err := s.putOffsets(all, g, kv); err != nil {
			return nil, 0, err
		}
	}
	return all, resp.Header.Revision, nil
}

// traceOf returns the trace context in stored offsets; zero when there is none, or none that can be read.
func traceOf(value []byte) events.TraceContext {
	if !bytes.Contains(value, []byte(`"trace":`)) {
		return events.TraceContext{} // as most
	}
	v, err := parseOffsets(value)
	if err != nil {
		return events.TraceContext{} // putOffsets reports them as unreadable
	}
	from, _ := events.ParseTraceContext(v.Trace) // offsets are as good without it
	return from
}

func (s *Store) putOffsets(all map[events.Partition]projections.Offsets, g projections.Generation, kv *mvccpb.KeyValue) error {
	p, err := s.keys.parseOffset(g, string(kv.Key))
	if err != nil {
		return &DamagedError{Key: string(kv.Key), Err: err}
	}
	o, err := unpackOffsets(kv)
	if err != nil {
		return err
	}
	all[p] = o
	return nil
}
