package events

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestKeyText(t *testing.T) {
	at := TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	sequence := ContentHash{0x01, 15: 0xff}
	tests := []struct {
		key  Key
		want string
	}{
		{
			Key{Cluster: "default-cluster", Partition: 7, At: at, Host: "mtv5-dgx1", GPU: "0-7", Sequence: sequence},
			"queue/default-cluster/007/20250718T204234.000000000Z_mtv5-dgx1_0-7_010000000000000000000000000000ff",
		},
		{
			Key{Cluster: "a/b", Host: "x_y/z%\x00", At: 1},
			"queue/a%2Fb/000/19700101T000000.000000001Z_x%5Fy%2Fz%25%00__00000000000000000000000000000000",
		},
		{
			Key{Cluster: "c", Host: "früh", GPU: "GPU-1", At: math.MinInt64, Partition: 999},
			"queue/c/999/16770921T001243.145224192Z_früh_GPU-1_00000000000000000000000000000000",
		},
	}
	for _, tt := range tests {
		if got := tt.key.String(); got != tt.want {
			t.Errorf("got key %q, want %q", got, tt.want)
		}
		if got, err := ParseKey(tt.want); err != nil || got != tt.key {
			t.Errorf("ParseKey(%q) = %+v, %v, want %+v", tt.want, got, err, tt.key)
		}
		if prefix := PartitionPrefix(tt.key.Cluster, tt.key.Partition); !strings.HasPrefix(tt.want, prefix) {
			t.Errorf("key %q does not start with its partition's prefix %q", tt.want, prefix)
		}
		if prefix := QueuePrefix(tt.key.Cluster); !strings.HasPrefix(tt.want, prefix) {
			t.Errorf("key %q does not start with its queue's prefix %q", tt.want, prefix)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	good := Key{Cluster: "c", Partition: 7, Host: "h", GPU: "0"}.String()
	if _, err := ParseKey(good); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"", "/" + good, good + "/", strings.Replace(good, "queue", "offsets", 1), strings.Replace(good, "/007/", "/7/", 1),
		strings.Replace(good, "/007/", "/", 1), strings.Replace(good, "_h_", "_h_h_", 1), strings.Replace(good, "_h_", "_%61_", 1),
		strings.Replace(good, "_h_", "_%5f_", 1), strings.Replace(good, "_h_", "_%5_", 1), strings.Replace(good, "19700101", "99990101", 1),
		strings.Replace(good, ".000000000Z", "Z", 1), strings.Replace(good, ".000000000Z", ",000000000Z", 1), good[:len(good)-1] + "A",
	} {
		if k, err := ParseKey(text); err == nil {
			t.Errorf("ParseKey(%q) = %+v, want an error", text, k)
		}
	}
}

func TestForeignKey(t *testing.T) {
	tests := []struct {
		text    string
		cluster string
		foreign bool
	}{
		{"queue/default-cluster/1752871354_host_0_1", "default-cluster", true},
		{"queue/default-cluster/2025-07-18T20:42:34Z_host_0_1", "default-cluster", true},
		{"queue/c/2025-07-18T20:42:34Z_rack/7_0_1", "c", true},
		{"queue/c/7/x", "c", true},
		{"queue/c/0071752871354_host_0_1", "c", true},
		{Key{Cluster: "c", Host: "h"}.String(), "", false},
		{"queue/c/900/x", "", false},
		{"queue/c/007/", "", false},
		{"queue/c/", "", false},
		{"queue/c", "", false},
		{"config/c/x", "", false},
	}
	for _, tt := range tests {
		if cluster, foreign := ForeignKey(tt.text); cluster != tt.cluster || foreign != tt.foreign {
			t.Errorf("ForeignKey(%q) = %q, %v, want %q, %v", tt.text, cluster, foreign, tt.cluster, tt.foreign)
		}
	}
}

func TestKeyOrderIsTimeOrder(t *testing.T) {
	r := random(4)
	var keys []Key
	for range 3000 {
		at := Timestamp(r.Uint64())
		if r.IntN(2) == 0 {
			at = Timestamp(r.Int64N(4e9) - 2e9) // around 1970
		}
		keys = append(keys, Key{Cluster: "c", At: at, Host: HostID(strings.Repeat("x", r.IntN(3)))})
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.String(), b.String()) })
	if !slices.IsSortedFunc(keys, func(a, b Key) int { return cmp.Compare(a.At, b.At) }) {
		t.Error("keys in order are not in order of time")
	}
}

func TestEventKey(t *testing.T) {
	tests := []struct {
		name       string
		identities []Identity
		want       string
	}{
		{"one by index", []Identity{{UUID: "GPU-5", Index: "3"}, {UUID: "GPU-5", Index: "3", Pod: "p"}}, "3"},
		{"one by UUID", []Identity{{UUID: "GPU-5"}}, "GPU-5"},
		{"one by address", []Identity{{PCI: "00000000:0f:00.0"}}, "h:00000000:0f:00.0"},
		{"indices are numbers", []Identity{{Index: "10"}, {Index: "9"}, {Index: "2"}}, "2-10"},
		{"names behind indices", []Identity{{UUID: "A"}, {Index: "0"}}, "0-A"},
		{"none", []Identity{{Part: "cpu:0"}}, ""},
	}
	for _, tt := range tests {
		ev := &Event{Host: "h", Identities: tt.identities, Sequence: ContentHash{9}, Columns: []Column{
			{Samples: Samples{Times: []Timestamp{50, 60}}}, {Samples: Samples{Times: []Timestamp{40}}},
		}}
		want := Key{Cluster: "c", Partition: PartitionOf("h", 64), At: 40, Host: "h", GPU: tt.want, Sequence: ContentHash{9}}
		if got := EventKey("c", 64, ev); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}

// The partition of a host is stored in logs, so these must never change.
func TestPartitionOfStays(t *testing.T) {
	want := map[HostID]Partition{"": 2, "mtv5-dgx1-hgpu-031": 16, "test-host-1": 45}
	for host := range want {
		if got := PartitionOf(host, 64); got != want[host] {
			t.Errorf("PartitionOf(%q, 64) = %d, want %d", host, got, want[host])
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("c", 7, int64(1752871354e9), "mtv5-dgx1", "0-7", []byte("0123456789abcdef"), "queue/c/007/x")
	f.Add("a/b", 0, int64(-1), "x_y%/", "", []byte{}, "queue/%2F/000/16770921T001243.145224192Z_%5F__00000000000000000000000000000000")
	f.Fuzz(func(t *testing.T, cluster string, p int, at int64, host, gpu string, sequence []byte, text string) {
		k := Key{Cluster: cluster, Partition: Partition(uint(p) % MaxPartitions), At: Timestamp(at), Host: HostID(host), GPU: gpu}
		copy(k.Sequence[:], sequence)
		if got, err := ParseKey(k.String()); err != nil || got != k {
			t.Fatalf("%+v is written %q, which is read as %+v, %v", k, k, got, err)
		}
		if _, foreign := ForeignKey(k.String()); foreign {
			t.Fatalf("%q counts as foreign", k)
		}
		if got, err := ParseKey(text); err == nil && got.String() != text {
			t.Fatalf("%q is read, and written as %q", text, got)
		}
	})
}
