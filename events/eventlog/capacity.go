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

// Capacity is how full etcd is: its fullest member, since one member at its quota stops all writes.
//
// Bytes and InUse differ by what deleted and compacted values left behind. etcd fills that again, but gives
// it back to the disk only when the member is defragmented, and it is Bytes that the quota is compared with.
type Capacity struct {
	Endpoint string // of that member
	Bytes    int64  // of its database
	InUse    int64  // of these hold something
	Quota    int64  // what the database may grow to; 0: without bound
	NoSpace  bool   // some member has raised the alarm: nothing can be written until it is disarmed
	Unheard  int    // endpoints that did not answer; they are not in the above
}

// Capacity asks each configured endpoint how full it is. It fails when none answers before ctx ends. Every
// etcd user may ask.
func (l *Log) Capacity(ctx context.Context) (Capacity, error) {
	client := l.clients[0]
	endpoints := client.Endpoints()
	if len(endpoints) == 0 {
		endpoints = []string{""} // a client that was connected otherwise knows one etcd
	}
	statuses, errs := make([]*clientv3.StatusResponse, len(endpoints)), make([]error, len(endpoints))
	var asked sync.WaitGroup
	for i, endpoint := range endpoints {
		asked.Go(func() { statuses[i], errs[i] = client.Status(ctx, endpoint) })
	}
	asked.Wait()
	var fullest Capacity
	heard := false
	for i, s := range statuses {
		if errs[i] != nil {
			fullest.Unheard++
			continue
		}
		heard = true
		fullest = fuller(fullest, capacityOf(endpoints[i], s))
	}
	if !heard {
		return Capacity{}, fmt.Errorf("asking etcd how full it is: %w", errors.Join(errs...))
	}
	return fullest, nil
}

func capacityOf(endpoint string, s *clientv3.StatusResponse) Capacity {
	raised := pb.AlarmType_NOSPACE.String()
	c := Capacity{Endpoint: endpoint, Bytes: s.DbSize, InUse: s.DbSizeInUse, Quota: max(s.DbSizeQuota, 0)}
	for _, told := range s.Errors { // each alarm as text: "memberID:… alarm:NOSPACE"
		c.NoSpace = c.NoSpace || strings.Contains(told, raised)
	}
	return c
}

// fuller gives the member whose database is the larger part of its quota, with what is known of both.
func fuller(a, b Capacity) Capacity {
	worst := a
	if a.Endpoint == "" && a.Bytes == 0 || b.share() > a.share() {
		worst = b
	}
	worst.NoSpace, worst.Unheard = a.NoSpace || b.NoSpace, a.Unheard+b.Unheard
	return worst
}

func (c Capacity) share() float64 {
	if c.Quota == 0 {
		return 0
	}
	return float64(c.Bytes) / float64(c.Quota)
}
