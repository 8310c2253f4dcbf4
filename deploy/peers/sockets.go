package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
	"telemetry-pipeline/events/wait"
)

const (
	socketsInterval = 5 * time.Second // between two reports of a host
	socketsHosts    = 10              // in an upload
	connectAtOnce   = 64
	syncedWithin    = time.Minute
	deliveredWithin = 10 * time.Second
)

// subscribers are connections to /ws in latest mode, each of which follows one GPU.
type subscribers struct {
	conns []*websocket.Conn
	ended sync.WaitGroup

	mu     sync.Mutex
	delays []float64 // of updates, in milliseconds, from the instant at which the readings were due to be sent
}

// measureSockets measures how long an update takes from the sender to each of many subscribers.
func (r *run) measureSockets(ctx context.Context) error {
	flags := []string{fmt.Sprintf("-socket.per-ip=%d", r.set.sockets+100), fmt.Sprintf("-socket.connections=%d", r.set.sockets+100)}
	dir := filepath.Join(r.dir, "sockets")
	if err := r.startOurs(ctx, dir, flags...); err != nil {
		return err
	}
	gpus := fleet.New(r.set.sockets, 1)
	began := time.Now().UTC().Truncate(time.Millisecond)
	first, err := r.playReports(ctx, gpus, began, time.Second, time.Second) // the hosts are known before anyone follows them
	if err != nil {
		return err
	}
	if first.Sent == 0 {
		return errors.New("no report was sent")
	}
	s, err := r.subscribeAll(ctx, gpus)
	if err != nil {
		return err
	}
	defer s.close()
	name := fmt.Sprintf("%d subscribers on /ws in latest mode", r.set.sockets)
	p50 := figure{Name: name + ": p50 of an update's way from the sender", Unit: "ms"}
	p99 := figure{Name: name + ": p99 of an update's way from the sender", Unit: "ms", Bound: bound{Max: 75}}
	share := figure{Name: name + ": updates received, of those that were due", Unit: "%", Bound: bound{Min: 99}}
	cpu := figure{Name: name + ": CPU of the server per update", Unit: "µs"}
	for range r.set.rounds {
		s.takeDelays()
		load, err := r.playReports(ctx, gpus, time.Now().UTC().Truncate(time.Millisecond), socketsInterval, r.set.socketsFor)
		if err != nil {
			return err
		}
		due := int(load.Sent) * len(s.conns) / int(uploadsOf(gpus))
		delays := s.awaitDelays(ctx, due)
		p50.Ours = append(p50.Ours, measure.Percentile(delays, 0.5))
		p99.Ours = append(p99.Ours, measure.Percentile(delays, 0.99))
		share.Ours = append(share.Ours, 100*float64(len(delays))/float64(due))
		cpu.Ours = append(cpu.Ours, float64(load.CPU.Microseconds())/max(float64(len(delays)), 1))
	}
	r.addFigures(p50, p99, share, cpu)
	use, err := r.ours.Usage()
	r.addFigure(figure{Name: name + ": resident memory", Unit: "MiB", Ours: []float64{float64(use.Resident) / (1 << 20)}})
	return err
}

// uploadsOf returns how many uploads carry one report of all hosts.
func uploadsOf(gpus *fleet.Fleet) int64 {
	return fleet.NewStream(gpus, fleet.StreamConfig{HostsPerUpload: socketsHosts, Every: socketsInterval}).Senders()
}

// playReports sends reports of all hosts, one in each interval, in uploads of a few hosts that are spread over the interval.
func (r *run) playReports(ctx context.Context, gpus *fleet.Fleet, began time.Time, every, during time.Duration) (*measure.Load, error) {
	p := fleet.NewStream(gpus, fleet.StreamConfig{HostsPerUpload: socketsHosts, Every: every, Began: began})
	return measure.SendPaced(ctx, r.uploadTarget(""), streamClients, p.Uploads(during), p.Pause(), 2*during+every, p.AppendUpload)
}

// subscribeAll connects all subscribers and waits until each has its snapshot.
func (r *run) subscribeAll(ctx context.Context, gpus *fleet.Fleet) (*subscribers, error) {
	s := &subscribers{conns: make([]*websocket.Conn, r.set.sockets)}
	synced := make(chan struct{}, r.set.sockets)
	_, err := measure.Together(connectAtOnce, func(worker int) error {
		for i := worker; i < len(s.conns); i += connectAtOnce {
			conn, err := measure.FollowGPU(ctx, r.ours.Queries, gpus.GPU(i).UUID)
			if err != nil {
				return err
			}
			s.conns[i] = conn
			s.ended.Go(func() { s.follow(conn, synced) })
		}
		return nil
	})
	if err != nil {
		s.close()
		return nil, err
	}
	timeout := time.After(syncedWithin)
	for n := range s.conns {
		select {
		case <-synced:
		case <-timeout:
			s.close()
			return nil, fmt.Errorf("%d of %d subscribers have their snapshot after %s", n, len(s.conns), syncedWithin)
		}
	}
	return s, nil
}

// follow reads messages until the connection is closed.
func (s *subscribers) follow(conn *websocket.Conn, synced chan<- struct{}) {
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		now := time.Now()
		switch {
		case bytes.HasPrefix(text, []byte(`{"t":"synced"`)):
			synced <- struct{}{}
		case bytes.HasPrefix(text, []byte(`{"t":"upd"`)):
			if at, found := newestTime(text); found {
				s.mu.Lock()
				s.delays = append(s.delays, measure.Milliseconds(now.Sub(at)))
				s.mu.Unlock()
			}
		}
	}
}

// newestTime returns the time of the first reading in an update. All readings of a host have the same one here.
func newestTime(text []byte) (time.Time, bool) {
	_, rest, found := bytes.Cut(text, []byte(`"ts":"`))
	if !found {
		return time.Time{}, false
	}
	stamp, _, _ := bytes.Cut(rest, []byte(`"`))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	return at, err == nil
}

// awaitDelays returns the delays since the last call, once there are as many as are due or nothing more can be expected.
func (s *subscribers) awaitDelays(ctx context.Context, due int) (out []float64) {
	for began := time.Now(); time.Since(began) < deliveredWithin && len(out) < due && wait.Sleep(ctx, 20*time.Millisecond); {
		out = append(out, s.takeDelays()...)
	}
	return out
}

// takeDelays returns the delays since the last call.
func (s *subscribers) takeDelays() []float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.delays
	s.delays = nil
	return out
}

// close ends all connections and waits for their readers.
func (s *subscribers) close() {
	for _, conn := range s.conns {
		if conn != nil {
			_ = conn.Close() // its reader ends
		}
	}
	s.ended.Wait()
}
