package partition

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest/model"
)

// TestNoPartitionStandsStillWhenTheAnswerToItsClaimIsLost: a collector's claims take effect, but before it learns of
// that another collector joins that ranks first for some of them. They are folded by one of the two nevertheless.
func TestNoPartitionStandsStillWhenTheAnswerToItsClaimIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 16
		etcd := model.New(t, model.Options{})
		store := eventlog.Config{}
		ctx, cancel := context.WithCancel(t.Context())
		var held atomic.Int64
		start := func(c *model.Client) <-chan struct{} {
			client, err := c.Connect(nil)
			if err != nil {
				t.Fatal(err)
			}
			own, err := New(client, Config{LeaseTTL: time.Hour}, store, partitions, nil)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer client.Close()
				err := runShared(ctx, own, func(claim *Claim) {
					held.Add(1)
					defer held.Add(-1)
					<-claim.Context().Done()
				})
				if err != nil {
					t.Error(err)
				}
			}()
			return done
		}
		unlucky := etcd.Client("unlucky")
		unlucky.Hook(nil, func(c model.Call) error {
			if c.Write && strings.HasPrefix(c.Key, store.Prefix("owners")) {
				return status.Error(codes.Unavailable, "the answer was lost")
			}
			return nil
		})
		first := start(unlucky)
		time.Sleep(10 * time.Second)
		second := start(etcd.Client("other"))
		time.Sleep(10 * time.Second)
		unlucky.Hook(nil, nil)
		time.Sleep(time.Minute)
		if got := held.Load(); got != partitions {
			t.Errorf("%d of %d partitions are held a minute after answers come again", got, partitions)
		}
		cancel()
		<-first
		<-second
	})
}

// TestAPartitionThatWasGivenAwayIsNotTakenBack: a collector releases partitions to one that has joined, and its own
// watch delivers that late. It must not take them for claims whose answer was lost.
func TestAPartitionThatWasGivenAwayIsNotTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 16
		etcd := model.New(t, model.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var claims [2]atomic.Int64
		start := func(i int, c *model.Client) <-chan struct{} {
			client, err := c.Connect(nil)
			if err != nil {
				t.Fatal(err)
			}
			own, err := New(client, Config{LeaseTTL: time.Hour}, eventlog.Config{}, partitions, nil)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer client.Close()
				err := runShared(ctx, own, func(claim *Claim) {
					if claims[i].Add(1) > 10*partitions {
						cancel() // otherwise it would continue at the same instant for ever
					}
					<-claim.Context().Done()
				})
				if err != nil {
					t.Error(err)
				}
			}()
			return done
		}
		giver, taker := etcd.Client("giver"), etcd.Client("taker")
		giver.SetLag(func() time.Duration { return 200 * time.Millisecond })
		taker.SetLatency(func() time.Duration { return 50 * time.Millisecond })
		first := start(0, giver)
		time.Sleep(10 * time.Second)
		second := start(1, taker)
		time.Sleep(time.Minute)
		if gave, took := claims[0].Load(), claims[1].Load(); gave != partitions || took == 0 || took == partitions {
			t.Errorf("%d and %d claims on %d partitions, want one each by the first, and some by the second", gave, took, partitions)
		}
		cancel()
		<-first
		<-second
	})
}
