package bounds

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"telemetry-pipeline/events"
)

// admitOf returns the first word of the reason with which a file of a sender that is closed afterwards refuses a record, and
// the flag in it.
func admitOf(l *Ledger, sender, host, metric, label string, keep bool) string {
	f := l.Begin(sender)
	defer f.Close(keep)
	r := reading(0, metric)
	if label != "" {
		id := *r.Identity
		id.Labels = []events.Label{{Name: label, Value: "x"}}
		r.Identity = &id
	}
	reason := f.Admit(context.Background(), events.HostID(host), r).Reason
	code, text, _ := strings.Cut(reason, ":")
	if _, flag, found := strings.Cut(text, "the flag "); found {
		code += " " + flag
	}
	return code
}

// TestSendersHaveShares: a new name counts for the sender who brings it, and costs the others nothing.
func TestSendersHaveShares(t *testing.T) {
	hosts, metrics, labels := "too_many_hosts ingest.principal-hosts", "too_many_metrics ingest.principal-metrics", "too_many_labels ingest.principal-labels"
	l := NewLedger(Config{SenderHosts: 2, SenderMetrics: 2, SenderLabels: 2}, nil)
	for i, step := range []struct {
		sender, host, metric, label string
		keep                        bool
		want                        string
	}{
		{"a", "n1", "m1", "", true, ""},
		{"a", "n2", "m1", "", false, ""}, // it is taken back
		{"a", "n3", "m1", "", true, ""},
		{"a", "n4", "m1", "", true, hosts},
		{"a", "n1", "m1", "", true, ""},
		{"b", "n4", "m1", "", true, ""},
		{"a", "n4", "m1", "", true, ""}, // another one brought it
		{"", "n5", "m5", "l5", true, ""},
		{"", "n6", "m6", "l6", true, ""},
		{"", "n7", "m7", "l7", true, ""},
		{"a", "n1", "m2", "", true, ""},
		{"a", "n1", "m3", "", true, metrics},
		{"a", "n1", "m7", "", true, ""},
		{"b", "n1", "m3", "", true, ""},
		{"a", "n1", "m3", "", true, ""},
		{"a", "n1", "m1", "l1", true, ""},
		{"a", "n1", "m1", "l2", true, ""},
		{"a", "n1", "m1", "l3", true, labels},
		{"a", "n1", "m1", "l2", true, ""},
		{"b", "n1", "m1", "l3", true, ""},
		{"a", "n1", "m1", "l3", true, ""},
	} {
		if got := admitOf(l, step.sender, step.host, step.metric, step.label, step.keep); got != step.want {
			t.Errorf("step %d, %+v: got %q, want %q", i, step, got, step.want)
		}
	}
}

// TestSharesAreCountedOnce compares the counts of senders with the members that they brought while files of several senders
// are open at the same time.
func TestSharesAreCountedOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := NewLedger(Config{SenderHosts: 20, SenderMetrics: 20, SenderLabels: 20, HostMetrics: 20}, nil)
	var open []*File
	for range 20_000 {
		if len(open) < 5 {
			open = append(open, l.Begin([]string{"", "a", "b", "c"}[rng.IntN(4)]))
		}
		i := rng.IntN(len(open))
		r := reading(0, fmt.Sprint("m", rng.IntN(60)))
		id := *r.Identity
		id.Labels = []events.Label{{Name: fmt.Sprint("l", rng.IntN(60)), Value: "x"}}
		r.Identity = &id
		open[i].Admit(context.Background(), events.HostID(fmt.Sprint("n", rng.IntN(60))), r)
		if rng.IntN(10) == 0 {
			open[i].Close(rng.IntN(2) == 0)
			open = append(open[:i], open[i+1:]...)
		}
	}
	for _, f := range open {
		f.Close(false)
	}
	all := map[string]*population{"hosts": &l.hosts, "metrics": &l.metrics, "labels": &l.labels}
	for e := l.recent.Front(); e != nil; e = e.Next() {
		h := e.Value.(*hostMembers)
		if h.metrics.brought != nil {
			all[fmt.Sprint("metrics of host ", h.host)] = &h.metrics
		}
	}
	if len(all) < 10 {
		t.Errorf("only %d populations have counts", len(all))
	}
	for name, p := range all {
		want := map[sender]int{}
		for _, m := range p.members {
			want[m.by]++
		}
		for by := range sender(4) {
			if p.brought[by] != want[by] {
				t.Errorf("%s of sender %d: %d are counted, %d are there", name, by, p.brought[by], want[by])
			}
		}
	}
}

// TestSendersAreBounded: senders beyond the remembered ones have one share together.
func TestSendersAreBounded(t *testing.T) {
	l := NewLedger(Config{SenderHosts: 1}, nil)
	for i := range mostSenders + 100 {
		l.Begin(fmt.Sprint("s", i)).Close(false)
	}
	if n := len(l.senders); n >= int(mostSenders) {
		t.Errorf("%d senders are remembered, want fewer than %d", n, mostSenders)
	}
	if got := admitOf(l, "late", "n1", "m", "", true) + admitOf(l, "later", "n2", "m", "", true); got != "too_many_hosts ingest.principal-hosts" {
		t.Errorf("got %q, want the second to be refused", got)
	}
}

// sentBy returns the refusal of a record of a host by a file of a sender.
func sentBy(l *Ledger, sender string, keep bool, id events.Identity, metric string) Refusal {
	f := l.Begin(sender)
	defer f.Close(keep)
	return f.Admit(context.Background(), "n1", &events.Record{Identity: &id, Metric: metric, Source: metric, At: 1})
}

// TestSendersShareAHost: no sender takes all the room of a host or GPU from the others who may send its telemetry.
func TestSendersShareAHost(t *testing.T) {
	for _, tt := range []struct {
		code, flag string
		cfg        Config
		record     func(i int) (id events.Identity, metric string)
	}{
		{"too_many_metrics", "ingest.max-host-metrics", Config{HostMetrics: 8}, func(i int) (events.Identity, string) {
			return events.Identity{Index: "0"}, fmt.Sprint("m", i)
		}},
		{"too_many_gpus", "ingest.max-gpus", Config{GPUs: 8}, func(i int) (events.Identity, string) {
			return events.Identity{Index: fmt.Sprint(i)}, "m"
		}},
		{"too_many_values", "ingest.max-values", Config{Values: 8}, func(i int) (events.Identity, string) {
			return events.Identity{Model: fmt.Sprint("model ", i)}, "m"
		}},
		{"too_many_parts", "ingest.max-parts", Config{Parts: 8}, func(i int) (events.Identity, string) {
			return events.Identity{Index: "0", Part: fmt.Sprint("nvlink:", i)}, "m"
		}},
	} {
		l := NewLedger(tt.cfg, nil)
		send := func(sender string, i int, keep bool) Refusal {
			id, metric := tt.record(i)
			return sentBy(l, sender, keep, id, metric)
		}
		for i, step := range []struct {
			sender string
			name   int
			keep   bool
			want   string
		}{
			{"a", 0, true, ""}, {"a", 1, true, ""}, {"a", 2, true, ""}, {"a", 3, true, ""}, {"a", 4, true, ""},
			{"a", 5, false, ""}, // it is taken back
			{"a", 6, true, ""},
			{"a", 7, true, "share"},
			{"a", 6, true, ""},
			{"b", 7, true, ""},
			{"a", 7, true, ""}, // another one brought it
			{"a", 8, true, "share"},
			{"b", 8, true, ""},
			{"b", 9, true, "bound"},
			{"", 9, true, "bound"},
			{"b", 0, true, ""},
		} {
			got := send(step.sender, step.name, step.keep).Reason
			switch is := strings.Contains(got, "a has brought 6 "); {
			case step.want == "" && got != "", step.want != "" && !strings.HasPrefix(got, tt.code+": "), is != (step.want == "share"),
				step.want != "" && !strings.HasSuffix(got, tt.flag):
				t.Errorf("%s, step %d, %+v: got %q", tt.code, i, step, got)
			}
		}
		l = NewLedger(tt.cfg, nil)
		for i := range 8 {
			if r := send("", i, true); r != (Refusal{}) {
				t.Errorf("%s: name %d of nobody: got %q", tt.code, i, r.Reason)
			}
		}
	}
}

// TestCountsOfFewAreNotKept: a host whose names are far from its bounds costs no memory for the counts of its senders.
func TestCountsOfFewAreNotKept(t *testing.T) {
	l := NewLedger(Config{HostMetrics: 8}, nil)
	for i := range 6 {
		if r := sentBy(l, "a", true, events.Identity{Index: "0"}, fmt.Sprint("m", i)); r != (Refusal{}) {
			t.Fatal(r)
		}
	}
	h := l.recent.Front().Value.(*hostMembers)
	if h.metrics.brought != nil || h.gpus.brought != nil {
		t.Errorf("counts are kept: %v, %v", h.metrics.brought, h.gpus.brought)
	}
	if r := sentBy(l, "a", true, events.Identity{Index: "0"}, "m6"); r == (Refusal{}) || len(h.metrics.brought) != 1 {
		t.Errorf("got %q and counts %v, want a refusal and one count", r.Reason, h.metrics.brought)
	}
}
