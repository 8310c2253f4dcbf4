package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"
)

// reading names one record: the GPU, the metric and the time. Its value follows from its name, so that every sender says the
// same.
type reading struct {
	gpu    string
	metric string
	at     int64 // Unix, nanoseconds
}

func (r reading) String() string {
	return fmt.Sprintf("%s of %s at %s", r.metric, r.gpu, time.Unix(0, r.at).UTC().Format(time.RFC3339Nano))
}

// absentBlank is the value of a reading that was left blank.
const absentBlank = "absent:blank"

// gauge is a metric of the workload.
type gauge struct {
	name, column string // canonical, and as the wide form names it
	least, most  int
	digits       int // behind the point
}

func gauges() []gauge {
	return []gauge{
		{"DCGM_FI_DEV_GPU_UTIL", "gpu_utilization", 0, 100, 0},
		{"DCGM_FI_DEV_POWER_USAGE", "power_draw", 60, 700, 3},
		{"DCGM_FI_DEV_GPU_TEMP", "temperature", 20, 90, 0},
		{"DCGM_FI_DEV_FB_USED", "memory_used_mb", 0, 80000, 0},
		{"DCGM_FI_DEV_SM_CLOCK", "sm_clock_mhz", 300, 1980, 0},
	}
}

// value returns the reading of a GPU's gauge at a time; every fiftieth reading is blank.
func (g gauge) value(gpu string, at int64) string {
	h := fnv.New64a()
	fmt.Fprint(h, gpu, g.name, at)
	rng := rand.New(rand.NewPCG(h.Sum64(), 0))
	if rng.IntN(50) == 0 {
		return absentBlank
	}
	whole := strconv.Itoa(g.least + rng.IntN(g.most-g.least))
	if g.digits == 0 {
		return whole
	}
	return whole + "." + fmt.Sprintf("%0*d", g.digits-1, rng.IntN(100)) + strconv.Itoa(1+rng.IntN(9)) // no zero at the end
}

const (
	hosts       = 20
	gpusPerHost = 2
)

func hostName(h int) string { return fmt.Sprintf("rack%d_node-%02d", h/8, h) }

func gpuName(h, g int) string {
	return fmt.Sprintf("GPU-%08x-aaaa-bbbb-cccc-%012x", 7919*(h+1), 104729*(g+1))
}
