package events

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJoinedEventHasTheSameRecordsAndIsOneEvent(t *testing.T) {
	c := NewCutter(CutRules{}, "upload", "UTC")
	c.Row("pod", 10, []Record{{Identity: &Identity{Index: "3"}, Metric: "m", Source: "m", At: testStart, Value: Value{Number: Int(7)}, Text: []byte("7")}})
	ev := c.Flush()[0]
	ev.Key, ev.Revision, ev.AppendedAt = "k", Revision{Number: 3}, 9
	got := ev.JoinTo("node")
	if err := got.Check(); err != nil {
		t.Fatal(err)
	}
	if got.Host != "node" || got.Zone != "UTC" || got.Upload != "upload" || got.Key != "" || got.Revision != (Revision{}) || got.AppendedAt != 0 {
		t.Errorf("got %+v: want the node's event of the same upload and zone, without a position", got)
	}
	if !cmp.Equal(got.Columns, ev.Columns) || !cmp.Equal(got.Identities, ev.Identities) {
		t.Error("the records differ")
	}
	const want = "1a55a04d03cb3f2b4f623e6001c744b8"
	if got.Sequence.String() != want {
		t.Errorf("got sequence %s, want %s: stored keys end in it", got.Sequence, want)
	}
	if again := ev.JoinTo("node"); again.Sequence != got.Sequence {
		t.Errorf("joined again it is %s", again.Sequence)
	}
	if other := ev.JoinTo("other"); other.Sequence == got.Sequence {
		t.Error("of two nodes it is one event")
	}
}

func TestJoinIsReadBack(t *testing.T) {
	want := Join{Node: "node-7", At: testStart, Upto: Revision{Epoch: 0xe5, Cluster: 0x89, Number: 42}}
	ev := want.Event("pod-x7k2p")
	if err := ev.Check(); err != nil {
		t.Fatal(err)
	}
	if got, found := ev.Join(); !found || got != want {
		t.Errorf("got %+v, %v; want %+v", got, found, want)
	}
	if entity := ev.Identities[0].Entity(ev.Host); ev.Host != "pod-x7k2p" || entity != (Entity{}) || ev.Records() != 1 {
		t.Errorf("it is %d records of %+v on %s, want one of the host itself", ev.Records(), entity, ev.Host)
	}
	if _, v := ev.Columns[0].At(0); v.Number != Int(1) {
		t.Errorf("its value is %v, want 1", v.Number)
	}
	ev.Identities[0].Labels[1].Value = "garbage"
	if got, found := ev.Join(); !found || got.Node != want.Node || got.Upto != (Revision{}) {
		t.Errorf("of an unreadable position: got %+v, %v", got, found)
	}
	ev.Columns[0].Metric = "other"
	if got, found := ev.Join(); found {
		t.Errorf("another metric is %+v", got)
	}
}
