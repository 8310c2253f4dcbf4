package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/goldentest"
	"telemetry-pipeline/projections"
)

// stored returns a value as it is read back, with its key.
func stored(key string, value []byte) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{Key: []byte(key), Value: value, ModRevision: 7}
}

var goldenAt = time.Date(2025, 7, 18, 20, 42, 35, 123456789, time.UTC)

func goldenRevision(number int64) events.Revision {
	return events.Revision{Epoch: 0x0538c7441940ea1a, Cluster: 0x8926787b21c748d9, Number: number}
}

func goldenStore() *Store {
	return newStore(nil, nil, eventlog.Config{}, events.Facts{Epoch: 0x0538c7441940ea1a, Cluster: 0x8926787b21c748d9, Partitions: 64}, nil)
}

// packed holds the parts of a stored value.
type packed struct {
	Revision int64
	Upload   events.UploadID
	Model    []byte
}

func goldenEnvelopes() map[string]packed {
	return map[string]packed{
		"envelope":       {1 << 40, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", []byte("model")},
		"envelope-empty": {0, "", nil},
		"envelope-zstd":  {300, "upload-7", bytes.Repeat([]byte("telemetry "), 100)},
	}
}

func (p packed) pack(c codec) []byte {
	return c.packValue(envelope{p.Revision, p.Upload}, p.Model, true)
}

func unpackEnvelope(value []byte) (packed, error) {
	e, model, err := newCodec().unpackValue(value)
	return packed{e.revision, e.upload, model}, err
}

// The bytes of a zstd frame depend on the library's version, so only the envelope of a compressed value is compared.
func TestStoredEnvelopes(t *testing.T) {
	c := newCodec()
	for name, p := range goldenEnvelopes() {
		value := p.pack(c)
		if value[0] == tagZstd {
			name, value = "head-of-"+name, value[:bytes.Index(value, []byte{0x28, 0xb5, 0x2f, 0xfd})]
		}
		goldentest.CheckWritten(t, name, 1, value)
	}
	goldentest.CheckReadable(t, "envelope", 1, goldenEnvelopes(), unpackEnvelope)
}

func goldenOffsets() map[string]projections.Offsets {
	return map[string]projections.Offsets{
		"offsets":      {Live: goldenRevision(600), Series: goldenRevision(512), HotFrom: 486908, Records: 80000},
		"offsets-live": {Live: goldenRevision(6), HotFrom: -3},
		"offsets-none": {},
	}
}

func TestStoredOffsets(t *testing.T) {
	s := goldenStore()
	for name, o := range goldenOffsets() {
		goldentest.CheckWrittenText(t, name, offsetsForm, s.packOffsets(o, "5b0e6c1f9a27d384-2", events.TraceContext{}))
	}
	goldentest.CheckReadable(t, "offsets", offsetsForm, goldenOffsets(), func(value []byte) (projections.Offsets, error) {
		return unpackOffsets(stored("offsets", value))
	})
}

// TestStoredOffsetsInATrace pins offsets that were stored in a trace. The programs of commit 452ba79, which know no traces, were seen
// to read testdata/golden/traced.form2.txt as the same offsets.
func TestStoredOffsetsInATrace(t *testing.T) {
	from, err := events.ParseTraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err != nil {
		t.Fatal(err)
	}
	model := goldenOffsets()["offsets"]
	goldentest.CheckWrittenText(t, "traced", offsetsForm, goldenStore().packOffsets(model, "5b0e6c1f9a27d384-2", from))
	read := func(value []byte) (projections.Offsets, error) {
		if got := traceOf(value); got != from {
			t.Errorf("got trace context %q, want %q", got, from)
		}
		return unpackOffsets(stored("traced", value))
	}
	goldentest.CheckReadableFrom(t, "traced", offsetsForm, offsetsForm, map[string]projections.Offsets{"traced": model}, read)
}

func TestTracesThatCannotBeReadAreIgnored(t *testing.T) {
	good := goldenStore().packOffsets(goldenOffsets()["offsets"], "5b0e6c1f9a27d384-2", events.TraceContext{Trace: [16]byte{1}, Span: [8]byte{2}})
	for _, trace := range []string{"", "00-01", "?", strings.Repeat("0", 1000)} {
		value := strings.Replace(good, "00-01000000000000000000000000000000-0200000000000000-01", trace, 1)
		if got := traceOf([]byte(value)); !got.IsZero() {
			t.Errorf("trace %.20q is read as %v", trace, got)
		}
		if got, err := unpackOffsets(stored("offsets", []byte(value))); err != nil || got != goldenOffsets()["offsets"] {
			t.Errorf("with trace %.20q: offsets are %+v (%v)", trace, got, err)
		}
	}
	if got := traceOf([]byte(`{"version":3,"trace":"00-01000000000000000000000000000000-0200000000000000-01"}`)); !got.IsZero() {
		t.Errorf("offsets of a later form have the trace %v", got)
	}
}

func goldenGenerations() map[string]GenerationInfo {
	return map[string]GenerationInfo{
		"generation":          {ModelVersion: 1, State: Active, CreatedAt: goldenAt, Revision: 7},
		"generation-building": {ModelVersion: 2, State: Building, CreatedAt: goldenAt, Activate: true, Revision: 7},
		"generation-complete": {ModelVersion: 3, State: Complete, CreatedAt: goldenAt, Revision: 7},
		"generation-retired":  {ModelVersion: 4, State: Retired, CreatedAt: goldenAt, Revision: 7},
	}
}

func TestStoredGenerations(t *testing.T) {
	s := goldenStore()
	for name, info := range goldenGenerations() {
		value, err := packRecord(info)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, value)
	}
	goldentest.CheckReadable(t, "generation", 1, goldenGenerations(), func(value []byte) (GenerationInfo, error) {
		_, info, err := s.unpackRecord(stored(s.keys.generationKey("g1"), value))
		return info, err
	})
}

func goldenEntries() map[string]Quarantined {
	id := EntryIDOf("/telemetry/queue/default-cluster/036/x", goldenRevision(17))
	return map[string]Quarantined{
		"quarantine": {
			ID: id, Partition: 36, Key: "/telemetry/queue/default-cluster/036/x", Revision: goldenRevision(17), Host: "rack7_node02",
			Reason: "overwritten", Text: "written <again>", Upload: "upload-7", At: goldenAt, Version: 1,
			Attempts: 3, TriedAt: goldenAt.Add(time.Hour), TriedVersion: 2,
		},
		"quarantine-bare": {
			ID: id, Partition: 36, Key: "k", Revision: goldenRevision(18), Reason: "undecodable", Text: "", At: goldenAt, Version: 1, Attempts: 1, TriedAt: goldenAt,
		},
		"quarantine-partial": {
			ID: id, Partition: 36, Key: "k", Revision: goldenRevision(19), Reason: "too_large", Text: "t", At: goldenAt, Version: 1, Attempts: 1, TriedAt: goldenAt,
			Records: 12, Partial: true,
		},
	}
}

func goldenSummaries() map[string]Quarantined {
	return map[string]Quarantined{
		"summary": {
			ID: SummaryID("too_large"), Partition: 36, Key: "a", Revision: goldenRevision(17), Reason: "too_large", Text: "full", At: goldenAt, Version: 1,
			Attempts: 2, TriedAt: goldenAt, TriedVersion: 1, Records: 80_000, Events: 40, LastKey: "b", LastRevision: goldenRevision(1017),
		},
	}
}

func TestStoredQuarantine(t *testing.T) {
	s := goldenStore()
	id := goldenEntries()["quarantine"].ID
	for name, q := range goldenEntries() {
		value, err := packEntry(&q)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, string(value))
	}
	goldentest.CheckReadable(t, "quarantine", 1, goldenEntries(), func(value []byte) (Quarantined, error) {
		return s.unpackEntry(stored(s.keys.entryKey("g1", 36, id), value))
	})
	for name, q := range goldenSummaries() {
		value, err := packEntry(&q)
		if err != nil {
			t.Fatal(err)
		}
		goldentest.CheckWrittenText(t, name, 1, string(value))
	}
	goldentest.CheckReadable(t, "summary", 1, goldenSummaries(), func(value []byte) (Quarantined, error) {
		return s.unpackEntry(stored(s.keys.entryKey("g1", 36, SummaryID("too_large")), value))
	})
	request, err := packRetryRequest(goldenAt)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.CheckWrittenText(t, "retry", 1, string(request))
}

// TestStoredKeys pins the keys of every family, with names that need escapes.
func TestStoredKeys(t *testing.T) {
	k := keys{eventlog.Config{ClusterID: "a/b_c"}}
	const g, host = projections.Generation("ga98a564c"), events.HostID("rack7_node/02")
	chunk := Chunk{Host: host, Window: 486908}
	id := EntryIDOf("/telemetry/queue/default-cluster/036/x", goldenRevision(17))
	from, to := k.modelsRange(g)
	goldentest.CheckWrittenText(t, "keys", 1, strings.Join([]string{
		k.activeKey(), k.generationsPrefix(), k.generationKey(g), k.offsetKey(g, 7),
		k.modelKey(g, kindIdentity, 7, host), k.modelKey(g, kindLive, 7, host), from, to,
		k.chunkKey(g, 7, chunk, chunk.Window.Start()+3599_999_999_999, [16]byte{0xab, 15: 1}),
		k.windowPrefix(g, 7, -1, host), k.entryKey(g, 7, id), k.retryKey(7, id), k.retryKey(7, EntryID{}),
	}, "\n"))
}

// Another hash would store every chunk a second time, under another key.
func TestHashOfAModelStays(t *testing.T) {
	const want = "04ee436e0ebbb533bcfba3fcf40ae9bd"
	if got := fmt.Sprintf("%x", modelHash([]byte("model"))); got != want {
		t.Errorf("the hash in a chunk's key is %s, want %s, as in the keys that are stored", got, want)
	}
}

func TestLaterValuesAreRefused(t *testing.T) {
	o, err := unpackOffsets(stored("offsets", []byte(`{"version":3,"position":{"live":7}}`)))
	if err == nil || !strings.Contains(err.Error(), "a newer one has written it") {
		t.Errorf("offsets of a later form were read as %+v (%v), want an error that names the newer program", o, err)
	}
}

// The first programs decode offsets as here, without a look at the version, and serve the models that they can read
// under offsets that they can decode.
func TestTheFirstProgramsRefuseTheOffsets(t *testing.T) {
	for name, o := range goldenOffsets() {
		var first struct {
			Epoch   string `json:"epoch"`
			Cluster string `json:"cluster"`
		}
		if err := json.Unmarshal([]byte(goldenStore().packOffsets(o, "5b0e6c1f9a27d384-2", events.TraceContext{})), &first); err == nil {
			t.Errorf("%s can be decoded by the first programs: %+v", name, first)
		}
	}
}
