package events

import (
	"errors"
	"testing"

	"telemetry-pipeline/events/goldentest"
)

func TestStoredFacts(t *testing.T) {
	facts := Facts{
		Epoch: 0x0538c7441940ea1a, Partitions: 64, PartitionHash: PartitionHash,
		Cut: CutRules{EventRecords: 2000, EventBytes: 1 << 20, OpenRecords: 100_000, OpenIdentities: Unbounded},
	}
	later := facts
	later.Cut.OpenRecords, later.Cut.OpenIdentities = 1<<20, 1<<17
	for form, f := range map[int]Facts{1: facts, 2: later} {
		value, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, "facts", form, string(value))
		if got, err := DecodeFacts(value); err != nil || got != f {
			t.Errorf("form %d is read as %+v and %v, want %+v", form, got, err, f)
		}
	}
	goldentest.CheckReadableFrom(t, "facts", 2, 2, map[string]Facts{"facts": later}, DecodeFacts)
}

func TestStoredDeadLetter(t *testing.T) {
	reasons := map[string]DeadLetterError{"deadletter": {Key: "/telemetry/queue/default-cluster/1752871354_node-7_0_1", Reason: `it is not JSON: "<"`}}
	for name, a := range reasons {
		value, err := EncodeDeadLetter(a.Key, a.Reason, []byte("what\nit was\x00\xff"))
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWritten(t, name, 1, value)
	}
	c := newTestCodec(t)
	goldentest.CheckReadable(t, "deadletter", 1, reasons, func(value []byte) (DeadLetterError, error) {
		_, err := c.Decode(value)
		if a, found := errors.AsType[*DeadLetterError](err); found {
			return *a, nil
		}
		return DeadLetterError{}, err
	})
	at, host := Timestamp(1752871354_000000000), HostID("node-7")
	goldentest.CheckWrittenText(t, "keys-deadletter", 1, DeadLetterKey("default-cluster", 64, "1752871354_node-7_0_1", []byte("what it was"), at, host).String())
}
