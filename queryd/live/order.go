package live

import (
	"cmp"
	"math"
	"strconv"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// orderGPU compares two GPUs in the order of State.GPUs: host, index as a number, index as text (an index that is no
// number comes after the numbers), id.
func orderGPU(a, b *projections.GPU) int {
	if c := cmp.Compare(a.Host, b.Host); c != 0 {
		return c
	}
	if a.Identity.Index != b.Identity.Index {
		if c := cmp.Compare(indexNumber(a.Identity.Index), indexNumber(b.Identity.Index)); c != 0 {
			return c
		}
		if c := cmp.Compare(a.Identity.Index, b.Identity.Index); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.ID, b.ID)
}

func indexNumber(index string) int {
	n, err := strconv.Atoi(index)
	if err != nil {
		return math.MaxInt
	}
	return n
}

func orderTracked(a, b *trackedGPU) int { return cmp.Compare(a.gpu.ID, b.gpu.ID) }
func orderHost(a, b *Host) int          { return cmp.Compare(a.ID, b.ID) }

// revisionBefore reports whether a comes before b, as positions of one log.
func revisionBefore(a, b events.Revision) bool { return a.Number < b.Number }
