package archive

import "telemetry-pipeline/events"

// record is a row of a records object: this struct is the object's schema. A text that the source does not have is NULL.
// Texts are escaped (escape) where they are not UTF-8.
type record struct {
	Host       string  `parquet:"host,dict"`
	GPU        string  `parquet:"gpu,optional,dict"`  // events.GPUID; NULL for a reading of the host itself
	Part       string  `parquet:"part,optional,dict"` // of the GPU: mig:1, nvlink:3, pid:4711
	Metric     string  `parquet:"metric,dict"`        // canonical name
	Time       int64   `parquet:"time,timestamp(nanosecond),delta"`
	Value      float64 `parquet:"value,optional"`      // the nearest to the number; NULL when absent
	Scale      int32   `parquet:"scale,dict"`          // value is round(value / 10^scale) × 10^scale exactly, where exact is NULL
	Exact      string  `parquet:"exact,optional,dict"` // the number's decimal text, where value and scale do not determine it
	Absent     string  `parquet:"absent,optional,dict"`
	Raw        string  `parquet:"raw,optional,dict"`    // the source's text when absent
	Source     string  `parquet:"source,optional,dict"` // the name the metric came under
	UUID       string  `parquet:"uuid,optional,dict"`
	Index      string  `parquet:"index,optional,dict"`
	PCI        string  `parquet:"pci,optional,dict"`
	Device     string  `parquet:"device,optional,dict"`
	Model      string  `parquet:"model,optional,dict"`
	Driver     string  `parquet:"driver,optional,dict"`
	MIG        string  `parquet:"mig,optional,dict"`
	MIGProfile string  `parquet:"mig_profile,optional,dict"`
	Pod        string  `parquet:"pod,optional,dict"`
	Namespace  string  `parquet:"namespace,optional,dict"`
	Container  string  `parquet:"container,optional,dict"`
	Labels     string  `parquet:"labels,optional,dict"` // a JSON object
	Event      int32   `parquet:"event,delta"`          // joins to the event table
}

// The indexes of record's columns.
const (
	colHost = iota
	colGPU
	colPart
	colMetric
	colTime
	colValue
	colScale
	colExact
	colAbsent
	colRaw
	colSource
	colUUID
	colIndex
	colPCI
	colDevice
	colModel
	colDriver
	colMIG
	colMIGProfile
	colPod
	colNamespace
	colContainer
	colLabels
	colEvent
	recordColumns
)

// textColumns lists the columns that are equal for all records of a series, except GPU, which follows from them. It is the
// order of seriesTexts. Never written.
var textColumns = [...]int{
	colHost, colMetric, colSource, colUUID, colIndex, colPCI, colDevice, colModel, colDriver, colMIG,
	colMIGProfile, colPod, colNamespace, colContainer, colPart, colLabels,
}

// seriesTexts holds the cells of a series in textColumns.
type seriesTexts [len(textColumns)]string

// series holds the common attributes of the records of one metric of one identity under one source name.
type series struct {
	host           events.HostID
	identity       *events.Identity // may be shared, and must not be changed
	metric, source string
}

// cellTexts returns the cells of s.
func (s *series) cellTexts() (t seriesTexts, err error) {
	id := s.identity
	labels, err := labelsText(id.Labels)
	t = seriesTexts{
		string(s.host), s.metric, s.source, id.UUID, id.Index, id.PCI, id.Device, id.Model, id.Driver, id.MIG,
		id.MIGProfile, id.Pod, id.Namespace, id.Container, id.Part, labels,
	}
	for i := range len(t) - 1 { // labels are escaped already
		t[i] = escape(t[i])
	}
	return t, err
}

// seriesOf is the inverse of cellTexts.
func seriesOf(t seriesTexts) (s series, err error) {
	labels, err := parseLabels(t[len(t)-1])
	if err != nil {
		return series{}, err
	}
	for i := range len(t) - 1 {
		if t[i], err = unescape(t[i]); err != nil {
			return series{}, err
		}
	}
	return series{
		host: events.HostID(t[0]), metric: t[1], source: t[2],
		identity: &events.Identity{
			UUID: t[3], Index: t[4], PCI: t[5], Device: t[6], Model: t[7], Driver: t[8], MIG: t[9],
			MIGProfile: t[10], Pod: t[11], Namespace: t[12], Container: t[13], Part: t[14], Labels: labels,
		},
	}, nil
}
