package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"telemetry-pipeline/events/eventstest"
)

// echo serves lines back and returns its address.
func echo(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }() // until the client hangs up
		}
	}()
	return ln.Addr().String()
}

// echoLine sends a line of its own and waits for it to come back, after those that a hole had held up.
func echoLine(c net.Conn, within time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	sent := fmt.Sprintln("hello", rand.Uint64())
	if _, err := io.WriteString(c, sent); err != nil {
		return err
	}
	for answers := bufio.NewReader(c); ; {
		if got, err := answers.ReadString('\n'); err != nil || got == sent {
			return err
		}
	}
}

func TestWeatherOfAProxy(t *testing.T) {
	p, err := openProxy(echo(t), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.closeAll()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	old := dial()
	if err := echoLine(old, time.Minute); err != nil {
		t.Fatalf("in fair weather: %v", err)
	}
	p.setMode(weather{hole: true})
	fresh := dial()
	for _, c := range []net.Conn{old, fresh} {
		if err, ok := echoLine(c, 200*time.Millisecond).(net.Error); !ok || !err.Timeout() {
			t.Errorf("in a hole: got %v, want nothing at all", err)
		}
	}
	p.setMode(weather{})
	for _, c := range []net.Conn{old, fresh} {
		if err := echoLine(c, time.Minute); err != nil {
			t.Errorf("after the hole closed: %v", err)
		}
	}
	p.setMode(weather{delay: 100 * time.Millisecond})
	start := time.Now()
	if err := echoLine(old, time.Minute); err != nil || time.Since(start) < 100*time.Millisecond {
		t.Errorf("with a delay: %v after %s", err, time.Since(start))
	}
	p.setMode(weather{cut: true})
	for _, c := range []net.Conn{old, dial()} {
		if err := echoLine(c, time.Minute); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("cut: got %v, want a broken connection", err)
		}
	}
}

// A tap must see each transaction on projections, its guard and its answer, through the very bytes of a client of etcd.
func TestTapSeesGuardsAndAnswers(t *testing.T) {
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	eventstest.NewServer(t, func(cfg *embed.Config) {
		at := []url.URL{{Scheme: "http", Host: ports[0]}}
		cfg.ListenClientUrls, cfg.AdvertiseClientUrls = at, at
	})
	seen := &tap{writer: "collectd-0"}
	p, err := openProxy(ports[0], seen, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.closeAll()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{p.address()}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	owner, live := root+"owners/c/g/003", root+"projections/c/g/live/003/host"
	put, err := client.Put(ctx, owner, "me")
	if err != nil {
		t.Fatal(err)
	}
	token := put.Header.Revision
	guard := func(token int64) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(owner), "=", token) }
	large := strings.Repeat("x", 100_000) // more than one frame
	for _, guards := range [][]clientv3.Cmp{{guard(token)}, {guard(token - 1)}, nil} {
		if _, err := client.Txn(ctx).If(guards...).Then(clientv3.OpPut(live, large), clientv3.OpPut(root+"offsets/c/g/003", "{}")).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	other := root + "projections/c/g/identity/004/host"
	if _, err := client.Txn(ctx).If(guard(token)).Then(clientv3.OpPut(live, "y"), clientv3.OpPut(other, "y")).Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Txn(ctx).Then(clientv3.OpGet(live)).Commit(); err != nil {
		t.Fatal(err)
	}
	want := []save{
		{token: token, accepted: true, rev: token + 1},
		{token: token - 1, rev: token + 1},
		{accepted: true, rev: token + 2},
		{token: token, accepted: true, rev: token + 3, mixed: true},
	}
	var got []save
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = seen.allConnections(); len(got) == len(want) && got[len(got)-1].answered {
			break
		}
	}
	if len(got) != len(want) {
		t.Fatalf("saw %d transactions, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		w.writer, w.partition, w.answered, w.askedAt = "collectd-0", 3, true, g.askedAt
		if g != w {
			t.Errorf("transaction %d: got %+v, want %+v", i, g, w)
		}
	}
}
