package events

import (
	"errors"
	"testing"

	"telemetry-pipeline/events/goldentest"
)

func TestStoredFacts(t *testing.T) {
	facts := map[string]Facts{
		"facts": {Epoch: 0x0538c7441940ea1a, Partitions: 64, PartitionHash: partitionHash, Cut: CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 100_000}},
	}
	for name, f := range facts {
		value, err := encodeFacts(f)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.WrittenText(t, name, 1, string(value))
	}
	goldentest.Readable(t, "facts", 1, facts, decodeFacts)
}

func TestStoredAside(t *testing.T) {
	reasons := map[string]AsideError{"aside": {Key: "/telemetry/queue/default-cluster/1752871354_node-7_0_1", Reason: `it is not JSON: "<"`}}
	for name, a := range reasons {
		value, err := encodeAside(a.Key, a.Reason, []byte("what\nit was\x00\xff"))
		if err != nil {
			t.Fatal(err)
		}
		goldentest.Written(t, name, 1, []byte(value))
	}
	c := newTestCodec(t)
	goldentest.Readable(t, "aside", 1, reasons, func(value []byte) (AsideError, error) {
		_, err := c.Decode(value)
		if a, found := errors.AsType[*AsideError](err); found {
			return *a, nil
		}
		return AsideError{}, err
	})
	at, host := Timestamp(1752871354_000000000), HostID("node-7")
	f := Foreign{Name: "1752871354_node-7_0_1", Value: []byte("what it was")}
	goldentest.WrittenText(t, "keys-aside", 1, asideKey(DefaultClusterID, 64, f, at, host).String())
}
