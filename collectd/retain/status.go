package retain

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/archive/manifest"
)

// Status is the distribution of data between etcd and the archive.
type Status struct {
	Etcd       EtcdStatus        `json:"etcd"`
	Log        LogStatus         `json:"log"`
	Archive    *ArchiveStatus    `json:"archive,omitempty"` // nil without an archive
	Here       CountedStatus     `json:"since_start"`       // counts of this process since its start
	Partitions []PartitionStatus `json:"partitions,omitempty"`
}

// EtcdStatus is etcd's use of space.
type EtcdStatus struct {
	Bytes    int64 `json:"bytes"`
	InUse    int64 `json:"in_use_bytes"`
	Quota    int64 `json:"quota_bytes,omitempty"`
	Budget   int64 `json:"hot_bytes,omitempty"` // in use above which archived events leave earlier
	Pressure int   `json:"pressure"`            // how much earlier: 0 not at all, 5 at once
}

// LogStatus counts the events and history in etcd.
type LogStatus struct {
	Events int64      `json:"events"`
	Chunks int64      `json:"chunks"`
	Oldest *time.Time `json:"oldest_appended_at,omitempty"` // append of the oldest event in etcd
}

// ArchiveStatus summarizes the archive.
type ArchiveStatus struct {
	URL      string     `json:"url"`
	Entries  int        `json:"entries"`
	Objects  int        `json:"objects"`
	Replaced int        `json:"replaced_objects"` // to be removed
	Bytes    int64      `json:"bytes"`
	Events   int64      `json:"events"`
	Records  int64      `json:"records"`
	Oldest   *time.Time `json:"oldest_record,omitempty"`
	Newest   *time.Time `json:"newest_record,omitempty"`
}

// CountedStatus counts the work of a process.
type CountedStatus struct {
	ArchivedEvents  int64 `json:"archived_events"`
	ArchivedRecords int64 `json:"archived_records"`
	DeletedEvents   int64 `json:"deleted_events"`
	DeletedChunks   int64 `json:"deleted_chunks"`
}

// PartitionStatus summarizes the archive of one partition.
type PartitionStatus struct {
	Partition events.Partition `json:"partition"`
	Upto      string           `json:"archived_upto"`
	Entries   int              `json:"entries"`
	Bytes     int64            `json:"bytes"`
	Records   int64            `json:"records"`
}

// Status returns the distribution of data of the whole cluster, as etcd has it now.
func (k *Keeper) Status(ctx context.Context) (Status, error) {
	var s Status
	k.pressure.currentLevel(ctx)
	c, budget, level := k.pressure.lastMeasurement()
	s.Etcd = EtcdStatus{Bytes: c.Bytes, InUse: c.InUse, Quota: c.Quota, Budget: budget, Pressure: level}
	s.Here = k.metrics.countedStatus()
	var err error
	if s.Log, err = k.logStatus(ctx); err != nil || k.store == nil {
		return s, err
	}
	all, err := k.manifest.LoadAll(ctx)
	if err != nil {
		return s, err
	}
	s.Archive = &ArchiveStatus{URL: k.url}
	for p := range events.Partition(k.partitions) {
		if one := all[p]; one != nil {
			s.Archive.addPartition(one)
			s.Partitions = append(s.Partitions, partitionStatus(one))
		}
	}
	return s, nil
}

func (k *Keeper) logStatus(ctx context.Context) (LogStatus, error) {
	var s LogStatus
	stored, err := k.etcd.Get(ctx, k.root.Prefix("queue"), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return s, err
	}
	s.Events = stored.Count
	if s.Chunks, err = k.saved.ChunkCount(ctx); err != nil {
		return s, err
	}
	head, err := k.log.Head(ctx)
	if err != nil {
		return s, err
	}
	refs, _, err := k.log.List(ctx, events.Listing{Upto: head, Limit: 1})
	if err != nil || len(refs) == 0 {
		return s, err
	}
	for ev, err := range k.log.Fetch(ctx, refs[:1]) {
		if err != nil {
			return s, err
		}
		s.Oldest = timeOrNil(ev.AppendedAt)
	}
	return s, nil
}

func (a *ArchiveStatus) addPartition(p *manifest.Partition) {
	a.Entries += len(p.Entries)
	for _, r := range p.Replaced {
		a.Replaced += len(r.Objects)
	}
	for i := range p.Entries {
		e := &p.Entries[i]
		a.Objects, a.Bytes = a.Objects+len(e.Objects), a.Bytes+e.Bytes()
		a.Events, a.Records = a.Events+e.Events, a.Records+e.Records
		if e.Records == 0 {
			continue
		}
		if from := e.From.Time(); a.Oldest == nil || from.Before(*a.Oldest) {
			a.Oldest = &from
		}
		if to := e.To.Time(); a.Newest == nil || to.After(*a.Newest) {
			a.Newest = &to
		}
	}
}

func partitionStatus(p *manifest.Partition) PartitionStatus {
	s := PartitionStatus{Partition: p.ID, Upto: p.Head.At.String(), Entries: len(p.Entries)}
	for i := range p.Entries {
		s.Bytes, s.Records = s.Bytes+p.Entries[i].Bytes(), s.Records+p.Entries[i].Records
	}
	return s
}

// timeOrNil returns a time for JSON, or nil for an unknown one.
func timeOrNil(at events.Timestamp) *time.Time {
	if at == 0 {
		return nil
	}
	t := at.Time()
	return &t
}
