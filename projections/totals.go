package projections

import "telemetry-pipeline/events"

// Totals sums up a set of GPUs from their latest readings, each of which counts only where it is present. Nil means that no GPU had the metric.
type Totals struct {
	GPUs, Active, Stale, Missing int
	UtilizationAvg               *float64 // %, DCGM_FI_DEV_GPU_UTIL
	MemoryUsedMiB                *float64 // sum, DCGM_FI_DEV_FB_USED
	MemoryFreeMiB                *float64 // sum, DCGM_FI_DEV_FB_FREE
	PowerWatts                   *float64 // sum, DCGM_FI_DEV_POWER_USAGE
	TemperatureMax               *float64 // °C, DCGM_FI_DEV_GPU_TEMP
}

// Sum gives the totals of gpus at now. hostSeen tells when a host was last seen, by record time. Readings of parts are never
// summed: a device's value repeats in them.
func Sum(gpus []*GPU, hostSeen func(events.HostID) events.Timestamp, now events.Timestamp) Totals {
	panic("contract")
}
