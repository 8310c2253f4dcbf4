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

// Metric is what the catalogue knows of one metric. The zero values of ID, Unit, Min and Max mean that nothing is known.
type Metric struct {
	Name  string // canonical, such as DCGM_FI_DEV_GPU_UTIL
	ID    int    // DCGM field id; 0: DCGM has none
	Unit  string // canonical unit: "%", "MiB", "MHz", "W", "°C", "mJ", "ns", "ratio", "count", …; "" when not known
	Kind  Kind
	Type  Type
	Min   events.Number // readings outside Min..Max are corrupt reads, not hot GPUs; Min == Max: not checked
	Max   events.Number
	Parts Parts  // the labels that tell readings of one metric at one time apart
	Help  string // one sentence for people
}

// Known tells whether the catalogue has the metric; one that it has not goes under its own name.
func (m *Metric) Known() bool { return m.Help != "" }

// Lookup gives the canonical metric that a source's name stands for, and how to convert its readings. Blanks around the name and its case do
// not matter. An unknown name is a metric under its own name, trimmed, and ok is false.
func Lookup(source string) (m Metric, c Conversion, ok bool) { panic("contract") }

// All gives the whole catalogue, sorted by name. The slice is the caller's.
func All() []Metric { panic("contract") }

// Parts is a set of labels that split one metric of a GPU into series of their own.
type Parts uint8

// The labels that can split a metric.
const (
	PerInstance Parts = 1 << iota // GPU_I_ID: a MIG instance
	PerLink                       // nvlink
	PerXID                        // xid
	PerEvent                      // clock_event
	PerPeer                       // peer_gpu
	PerWatch                      // health_watch
)

// Conversion turns a reading as a source gives it into the canonical unit. The zero Conversion leaves it as it is.
type Conversion struct {
	shift   int8 // × 10^shift
	mebi    bool // ÷ 2^20
	percent bool // 0–1 or 0–100: told by the text (Read)
}

// Apply converts exactly where the result fits a Number; ÷ 2^20 may need more digits than that and is then rounded
// to the nearest float64.
func (c Conversion) Apply(n events.Number) events.Number { panic("contract") }

// Read reads the text of one reading of m: a number, or the reason for having none (blank cells, tokens such as [N/A], DCGM's
// sentinel numbers, implausible numbers). Any other text is an error that says what is wrong with it.
func (m *Metric) Read(c Conversion, text []byte) (events.Value, error) { panic("contract") }

// NamedField is one of the eight readings that a telemetry entry shows under a name of its own.
type NamedField struct {
	Name        string // as in wide files, REST and GraphQL: gpu_utilization
	Metric      string // canonical
	Unit        string
	Description string
}

// Named gives the named fields in the order of the wide form. The slice is the caller's.
func Named() []NamedField { panic("contract") }
