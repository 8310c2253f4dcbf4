package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Capacity is the fill level of etcd's fullest member, since one member at its quota stops all writes.
//
// Bytes exceeds InUse by the pages that deleted and compacted values left behind. etcd fills these pages again, but
// returns them to the disk only when the member is defragmented, and it compares Bytes with the quota.
type Capacity struct {
	Endpoint    string // address of the fullest member
	Bytes       int64  // size of its database
	InUse       int64  // bytes of the database that hold values
	Quota       int64  // limit of the database's size; 0: unlimited
	NoSpace     bool   // some member has raised the alarm: no write succeeds until the alarm is disarmed
	Unreachable int    // endpoints that did not answer; the other fields do not cover them
}

// Capacity returns the fill level of the fullest configured endpoint. It fails when no endpoint answers before ctx
// ends. Every etcd user may ask.
func (l *Log) Capacity(ctx context.Context) (Capacity, error) {
	client := l.clients[0]
	endpoints := client.Endpoints()
	if len(endpoints) == 0 {
		endpoints = []string{""} // a client that was connected otherwise knows one etcd
	}
	statuses, errs := make([]*clientv3.StatusResponse, len(endpoints)), make([]error, len(endpoints))
	var pending sync.WaitGroup
	for i, endpoint := range endpoints {
		pending.Go(func() { statuses[i], errs[i] = client.Status(ctx, endpoint) })
	}
	pending.Wait()
	var fullest Capacity
	answered := false
	for i, s := range statuses {
		if errs[i] != nil {
			fullest.Unreachable++
			continue
		}
		answered = true
		fullest = fullerMember(fullest, capacityOf(endpoints[i], s))
	}
	if !answered {
		return Capacity{}, fmt.Errorf("asking etcd how full it is: %w", errors.Join(errs...))
	}
	return fullest, nil
}

func capacityOf(endpoint string, s *clientv3.StatusResponse) Capacity {
	raised := pb.AlarmType_NOSPACE.String()
	c := Capacity{Endpoint: endpoint, Bytes: s.DbSize, InUse: s.DbSizeInUse, Quota: max(s.DbSizeQuota, 0)}
	for _, alarm := range s.Errors { // each alarm as text: "memberID:… alarm:NOSPACE"
		c.NoSpace = c.NoSpace || strings.Contains(alarm, raised)
	}
	return c
}

// fullerMember returns the member whose database uses the larger share of its quota, with NoSpace and Unreachable of
// both.
func fullerMember(a, b Capacity) Capacity {
	worst := a
	if a.Endpoint == "" && a.Bytes == 0 || b.usedShare() > a.usedShare() {
		worst = b
	}
	worst.NoSpace, worst.Unreachable = a.NoSpace || b.NoSpace, a.Unreachable+b.Unreachable
	return worst
}

func (c Capacity) usedShare() float64 {
	if c.Quota == 0 {
		return 0
	}
	return float64(c.Bytes) / float64(c.Quota)
}
