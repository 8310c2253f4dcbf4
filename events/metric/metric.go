package metric

import "telemetry-pipeline/events"

// Kind describes the relation between consecutive readings of a metric.
type Kind uint8

// The kinds. A Rate is a gauge that must never be differentiated, even if an exporter declares another TYPE.
const (
	Gauge Kind = iota
	Counter
	Rate
)

// String returns the name of the kind: gauge, counter or rate.
func (k Kind) String() string {
	switch k {
	case Counter:
		return "counter"
	case Rate:
		return "rate"
	default:
		return "gauge"
	}
}

// Type is the type of the DCGM field, which determines the sentinels for "no reading".
type Type uint8

// The types. A metric outside the catalogue is Untyped.
const (
	Untyped Type = iota
	Int64
	Double
)

// Parts is a set of labels that split one metric of a GPU into series of their own.
type Parts uint8

// The labels that can split a metric. A device-level metric (power, temperature, clocks, ECC, remapped rows) is not
// split: it is one reading of the GPU even if it is exported once per MIG instance or pod.
const (
	PerInstance Parts = 1 << iota // GPU_I_ID, a MIG instance
	PerLink                       // nvlink
	PerXID                        // xid
	PerEvent                      // clock_event
	PerPeer                       // peer_gpu
	PerWatch                      // health_watch
	PerProcess                    // pid
	PerAny      Parts = 1<<iota - 1
)

// Metric is one metric of the catalogue, or an unknown one.
type Metric struct {
	Name  string        // canonical, such as DCGM_FI_DEV_GPU_UTIL
	ID    int           // DCGM field id; 0 if DCGM has none
	Unit  string        // canonical: "%", "MiB", "MHz", "W", "°C", "mJ", "ns", "MB/s", "B/s", "ratio", "count", "code"; "" if unknown
	Kind  Kind          // the relation between consecutive readings
	Type  Type          // of DCGM's field
	Min   events.Number // readings outside Min..Max are corrupt reads, not hot GPUs
	Max   events.Number // equal to Min if no range is known
	Parts Parts         // labels that distinguish readings of one metric at one time
	Help  string        // one sentence for people; "" if the metric is not in the catalogue

	words words // words accepted as readings
}

// Known reports whether the metric is in the catalogue. Other metrics keep their own name.
func (m *Metric) Known() bool { return m.Help != "" }
