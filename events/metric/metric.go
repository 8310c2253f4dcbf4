package metric

import "telemetry-pipeline/events"

// Kind says how readings of a metric follow each other.
type Kind uint8

// The kinds. A Rate is a gauge that must never be differentiated, whatever an exporter's TYPE line claims.
const (
	Gauge Kind = iota
	Counter
	Rate
)

// String gives the kind's word: gauge, counter or rate.
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

// Type is the type of the DCGM field, which decides the numbers that stand for "no reading".
type Type uint8

// The types. A metric that the catalogue does not know is Untyped.
const (
	Untyped Type = iota
	Int64
	Double
)

// Parts is a set of labels that split one metric of a GPU into series of their own.
type Parts uint8

// The labels that can split a metric. A device-level metric (power, temperature, clocks, ECC, remapped
// rows) is split by none: it is one reading of the GPU also when it comes once per MIG instance or pod.
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

// Metric is what the catalogue knows of one metric.
type Metric struct {
	Name  string        // canonical, such as DCGM_FI_DEV_GPU_UTIL
	ID    int           // DCGM field id; 0: DCGM has none
	Unit  string        // canonical: "%", "MiB", "MHz", "W", "°C", "mJ", "ns", "MB/s", "B/s", "ratio", "count", "code"; "": not known
	Kind  Kind          // how its readings follow each other
	Type  Type          // of DCGM's field
	Min   events.Number // readings outside Min..Max are corrupt reads, not hot GPUs
	Max   events.Number // equal to Min: no range is known
	Parts Parts         // what tells readings of one metric at one time apart
	Help  string        // one sentence for people; "" when the catalogue does not know the metric

	words words // that stand for readings
}

// Known tells whether the catalogue has the metric; one that it has not goes under its own name.
func (m *Metric) Known() bool { return m.Help != "" }
