package livetest

import (
	"maps"
	"slices"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// Fleet folds readings into hosts' models, as a collector does. Not safe for concurrent use.
type Fleet struct {
	facts events.Facts
	hosts map[events.HostID]*projections.Host
}

// NewFleet returns a fleet without hosts.
func NewFleet(facts events.Facts) *Fleet {
	return &Fleet{facts: facts, hosts: map[events.HostID]*projections.Host{}}
}

// Reading is one reading of a GPU, or of a part of one.
type Reading struct {
	Host      events.HostID
	UUID      string
	Index     int
	Part      string
	Metric    string
	At        events.Timestamp
	Appended  events.Timestamp // when its event was appended; 0: not known
	Value     int64
	Exponent  int16         // of Value, as events.Number has it
	Absent    events.Reason // set: the reading has no value
	Model     string
	Driver    string
	Pod       string
	Namespace string
	Labels    []events.Label
}

// Report folds readings of one host and returns its stored models.
func (f *Fleet) Report(readings ...Reading) projections.Stored {
	host := readings[0].Host
	if f.hosts[host] == nil {
		f.hosts[host] = &projections.Host{ID: host}
	}
	h := f.hosts[host]
	for _, r := range readings {
		ev := events.Event{Host: host, AppendedAt: r.Appended, Identities: []events.Identity{{UUID: r.UUID, Index: strconv.Itoa(r.Index), Part: r.Part, Model: r.Model, Driver: r.Driver, Pod: r.Pod, Namespace: r.Namespace, Labels: r.Labels}}}
		column := events.Column{Metric: r.Metric, Source: r.Metric}
		value := events.Value{Number: events.NumberOf(r.Value, r.Exponent)}
		if r.Absent != events.Present {
			value = events.Value{Absent: r.Absent, Raw: "N/A"}
		}
		column.Add(r.At, value)
		ev.Columns = []events.Column{column}
		h.Apply(&ev)
	}
	return f.Stored(host)
}

// Stored returns the stored models of a host.
func (f *Fleet) Stored(host events.HostID) projections.Stored {
	h := *f.hosts[host]
	return projections.Stored{Host: host, Partition: events.PartitionOf(host, f.facts.Partitions), Live: &h.Live, Identity: &h.Identity}
}

// Remove forgets a host and returns its removal as a store reports it.
func (f *Fleet) Remove(host events.HostID) projections.Stored {
	delete(f.hosts, host)
	return projections.Stored{Host: host, Partition: events.PartitionOf(host, f.facts.Partitions), Removed: true}
}

// Hosts returns the names of all hosts, sorted.
func (f *Fleet) Hosts() []events.HostID { return slices.Sorted(maps.Keys(f.hosts)) }
