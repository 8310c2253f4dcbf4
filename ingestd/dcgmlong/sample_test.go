package dcgmlong_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

const sample = "dcgm_metrics_20250718_134233.csv"

// facts are the known values of one metric of the sample.
type facts struct {
	second   int
	min, max string
	sum      string
	distinct int
	zeros    int
}

// TestSample compares a real export with counts that were made by other means.
func TestSample(t *testing.T) {
	text := dialecttest.Sample(t, sample)
	got := readText(t, text)
	if len(got.Records) != 2470 || got.Rows != 2470 || len(got.Rejections)+len(got.Warnings)+got.Absent != 0 || got.ZoneAssumed {
		t.Fatalf("got %d records, %d rows, %d rejections, %d warnings, %d absent; want 2470 records and nothing else",
			len(got.Records), got.Rows, len(got.Rejections), len(got.Warnings), got.Absent)
	}
	if sum, want := checksumOf(got.Records), "50d73512710fb9fca713de13ff788d58571c42ed36bee944d7b41a1057307295"; sum != want {
		t.Errorf("got checksum %s, want %s", sum, want)
	}
	want := map[string]facts{
		"GPU_UTIL":      {34, "0", "100", "10814", 31, 128},
		"MEM_COPY_UTIL": {34, "0", "80", "5037", 50, 134},
		"POWER_USAGE":   {34, "66.781", "689.457", "64997.681", 247, 0},
		"GPU_TEMP":      {35, "26", "80", "10257", 44, 0},
		"FB_USED":       {35, "4", "77413", "6550002", 112, 0},
		"FB_FREE":       {35, "3594", "81003", "13458727", 112, 0},
		"DEC_UTIL":      {36, "0", "0", "0", 1, 247},
		"ENC_UTIL":      {37, "0", "0", "0", 1, 247},
		"SM_CLOCK":      {37, "345", "1980", "317280", 3, 0},
		"MEM_CLOCK":     {37, "2619", "2619", "646893", 1, 0},
	}
	if diff := cmp.Diff(want, factsOf(t, got.Records), cmp.AllowUnexported(facts{})); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestSampleIdentities(t *testing.T) {
	got := readText(t, dialecttest.Sample(t, sample))
	hosts, uuids, shared := map[events.HostID]int{}, map[string]*events.Identity{}, true
	for _, r := range got.Records {
		id := r.Identity
		if first := uuids[id.UUID]; first == nil {
			uuids[id.UUID] = id
			hosts[r.Host]++
		} else {
			shared = shared && first == id
		}
		want := []events.Label{{Name: "instance", Value: string(r.Host) + ":9400"}, {Name: "job", Value: "dgx_dcgm_exporter"}}
		if !slices.Equal(id.Labels, want) || id.Model != "NVIDIA H100 80GB HBM3" || id.Driver != "535.129.03" || id.Device != "nvidia"+id.Index ||
			id.Pod+id.Namespace+id.Container+id.MIG+id.Part != "" {
			t.Fatalf("got identity %+v of %s, want labels %v and the sample's model and driver", id, r.Host, want)
		}
	}
	if len(hosts) != 31 || len(uuids) != 247 || hosts["mtv5-dgx1-hgpu-012"] != 7 || hosts["mtv5-dgx1-hgpu-031"] != 8 {
		t.Errorf("got %d hosts, %d UUIDs, %d GPUs on -012 and %d on -031; want 31, 247, 7, 8",
			len(hosts), len(uuids), hosts["mtv5-dgx1-hgpu-012"], hosts["mtv5-dgx1-hgpu-031"])
	}
	if !shared {
		t.Error("records of one GPU do not share their identity")
	}
}

// TestSampleInOtherClothes reads the sample with the line ends of Windows, a byte order mark and its rows
// in another order.
func TestSampleInOtherClothes(t *testing.T) {
	text := dialecttest.Sample(t, sample)
	header, body, _ := bytes.Cut(text, []byte("\n"))
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	rnd := rand.New(rand.NewPCG(1, 2))
	rnd.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	dressed := slices.Concat([]byte("\xef\xbb\xbf"), header, []byte("\r\n"), bytes.Join(lines, []byte("\r\n")))
	if got, want := checksumOf(readText(t, dressed).Records), checksumOf(readText(t, text).Records); got != want {
		t.Errorf("got checksum %s, want %s", got, want)
	}
}

func readText(t *testing.T, text []byte) *dialecttest.Read {
	t.Helper()
	got, err := longDialect().Read(bytes.NewReader(text), dialect.Options{}, rows.Options{BatchRows: 100}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// checksumOf returns the checksum of the sorted lines time, metric, UUID, value.
func checksumOf(records []dialecttest.Record) string {
	lines := make([]string, len(records))
	for i, r := range records {
		lines[i] = fmt.Sprintf("%s\t%s\t%s\t%s\n", r.At, r.Metric, r.Identity.UUID, r.Value.Number)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

func factsOf(t *testing.T, records []dialecttest.Record) map[string]facts {
	all := map[string][]dialecttest.Record{}
	for _, r := range records {
		name := strings.TrimPrefix(r.Metric, "DCGM_FI_DEV_")
		all[name] = append(all[name], r)
	}
	got := map[string]facts{}
	for name, records := range all {
		numbers := map[events.Number]bool{}
		thousandths, zeros := int64(0), 0
		lowest, highest := records[0].Value.Number, records[0].Value.Number
		for _, r := range records {
			n := r.Value.Number
			numbers[n] = true
			thousandths += inThousandths(t, n)
			if n == (events.Number{}) {
				zeros++
			}
			if n.Compare(lowest) < 0 {
				lowest = n
			}
			if n.Compare(highest) > 0 {
				highest = n
			}
			if r.At != records[0].At {
				t.Errorf("%s: got times %s and %s, want one", name, records[0].At, r.At)
			}
		}
		sum := events.Int(thousandths)
		if sum.Mantissa != 0 {
			sum.Exponent -= 3
		}
		got[name] = facts{records[0].At.Time().Second(), lowest.String(), highest.String(), sum.String(), len(numbers), zeros}
	}
	return got
}

func inThousandths(t *testing.T, n events.Number) int64 {
	v := n.Mantissa
	if n.Exponent < -3 {
		t.Fatalf("got %s, which is finer than thousandths", n)
	}
	for range n.Exponent + 3 {
		v *= 10
	}
	return v
}
