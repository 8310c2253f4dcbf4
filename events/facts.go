package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Facts are settled at the first use of a cluster's log, under config/{cluster-id}. A process with conflicting
// settings refuses to start.
type Facts struct {
	Epoch         Epoch
	Cluster       uint64 // etcd's cluster id
	Partitions    int    // default 64
	PartitionHash string // "xxh3"
	Cut           CutRules
}

// CutRules are the limits at which an upload is cut into events. The cut must depend on the content alone, so they
// are facts of the log and not settings.
type CutRules struct {
	EventRecords int // rows of one host, default 2,000
	EventBytes   int // bytes of source text of one host's rows, default 1 MiB
	OpenRecords  int // open records of all hosts, default 1,048,576

	// OpenIdentities bounds the open hosts and their identities, counted together. The default is 131,072. The facts of
	// logs from before this rule decode to Unbounded.
	OpenIdentities int
}

// Unbounded is the limit of a CutRules member that never cuts.
const Unbounded = math.MaxInt

// Uncut returns rules that never cut.
func Uncut() CutRules { return CutRules{Unbounded, Unbounded, Unbounded, Unbounded} }

// WithDefaults returns the rules with every zero replaced by its default.
func (r CutRules) WithDefaults() CutRules {
	return CutRules{
		EventRecords:   cmp.Or(r.EventRecords, 2000),
		EventBytes:     cmp.Or(r.EventBytes, 1<<20),
		OpenRecords:    cmp.Or(r.OpenRecords, 1<<20),
		OpenIdentities: cmp.Or(r.OpenIdentities, 1<<17),
	}
}

// factsForm is the newest form of stored facts. Form 1 has no open_identities; a log that began with it stays with it.
const factsForm = 2

// storedFacts is the stored form of Facts. Epochs are hexadecimal, since not every JSON parser keeps 64-bit numbers.
type storedFacts struct {
	Version       int       `json:"version,omitempty"`
	Epoch         string    `json:"epoch"`
	Partitions    int       `json:"partitions"`
	PartitionHash string    `json:"partition_hash"`
	Cut           storedCut `json:"cut"`
}

type storedCut struct {
	EventRecords   int `json:"event_records"`
	EventBytes     int `json:"event_bytes"`
	OpenRecords    int `json:"open_records"`
	OpenIdentities int `json:"open_identities,omitempty"`
}

// Encode returns the stored form of the facts, JSON. It does not include the etcd cluster id.
func (f Facts) Encode() ([]byte, error) {
	s := storedFacts{
		Version:       factsForm,
		Epoch:         fmt.Sprintf("%016x", uint64(f.Epoch)),
		Partitions:    f.Partitions,
		PartitionHash: f.PartitionHash,
		Cut:           storedCut(f.Cut),
	}
	if f.Cut.OpenIdentities == Unbounded {
		s.Version, s.Cut.OpenIdentities = 0, 0 // form 1
	}
	return json.Marshal(s)
}

// DecodeFacts parses the result of Encode. It leaves Cluster zero.
func DecodeFacts(value []byte) (Facts, error) {
	form, err := StoredJSONForm(value, factsForm)
	if err != nil {
		return Facts{}, fmt.Errorf("decoding %q: %w", value, err)
	}
	var s storedFacts
	if err := json.Unmarshal(value, &s); err != nil {
		return Facts{}, fmt.Errorf("decoding %q: %w", value, err)
	}
	epoch, err := strconv.ParseUint(s.Epoch, 16, 64)
	f := Facts{Epoch: Epoch(epoch), Partitions: s.Partitions, PartitionHash: s.PartitionHash, Cut: CutRules(s.Cut)}
	if form == 1 {
		f.Cut.OpenIdentities = Unbounded
	}
	switch c := &f.Cut; {
	case err != nil:
		return Facts{}, fmt.Errorf("decoding %q: epoch: %w", value, err)
	case epoch == 0 || f.Partitions < 1 || f.Partitions > MaxPartitions || min(c.EventRecords, c.EventBytes, c.OpenRecords, c.OpenIdentities) < 1:
		return Facts{}, fmt.Errorf("decoding %q: a number that cannot be", value)
	}
	return f, nil
}
