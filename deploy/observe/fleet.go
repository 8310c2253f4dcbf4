package observe

// Fleet returns the dashboard of GPUs, over the metrics of dcgm-exporter up to 4.8.
func Fleet() *Dashboard {
	l := &layout{}
	addFleetNow(l)
	addFleetUse(l)
	addFleetHealth(l)
	addFleetTops(l)
	return &Dashboard{
		UID: "telemetry-fleet", Title: "GPU fleet", Tags: []string{"gpu", "dcgm"},
		Description:   "Use and health of GPUs. A panel whose metric the exporter does not export stays empty: docs/runbooks/gpu.md names the counters.",
		SchemaVersion: schemaVersion, Timezone: "browser", Editable: true, Refresh: "1m", Time: TimeRange{From: "now-3h", To: "now"},
		Templating: Templating{List: []Variable{
			sourceVariable(),
			labelVariable("cluster", "Cluster", "label_values(DCGM_FI_DEV_GPU_TEMP, cluster)"),
			labelVariable("host", "Host", `label_values(DCGM_FI_DEV_GPU_TEMP{cluster=~"$cluster"}, Hostname)`),
			labelVariable("gpu", "GPU", `label_values(DCGM_FI_DEV_GPU_TEMP{cluster=~"$cluster",Hostname=~"$host"}, gpu)`),
		}},
		Panels: l.panels,
	}
}

const (
	chosenGPUs = `{cluster=~"$cluster",Hostname=~"$host",gpu=~"$gpu"}`
	perGPU     = "max by (Hostname, gpu, UUID) "
	gpuLegend  = "{{Hostname}} {{gpu}}"
)

// gpuValue returns the expression of a metric with one value for each GPU, however many pods or instances repeat it.
func gpuValue(metric string) string { return perGPU + "(" + metric + chosenGPUs + ")" }

// gpuIncrease returns the expression of a counter's increase for each GPU.
func gpuIncrease(metric string) string {
	return perGPU + "(increase(" + metric + chosenGPUs + "[$__rate_interval]))"
}

func addFleetNow(l *layout) {
	l.startRow("Now")
	l.addStat("Hosts", "none", "Hosts that report.", line{"count(count by (Hostname) (DCGM_FI_DEV_GPU_TEMP" + chosenGPUs + "))", ""})
	l.addStat("GPUs", "none", "GPUs that report.", line{"count(" + gpuValue("DCGM_FI_DEV_GPU_TEMP") + ")", ""})
	l.addStat("Utilization", "percent", "Average of all GPUs; GPUs with MIG have none.", line{"avg(" + gpuValue("DCGM_FI_DEV_GPU_UTIL") + ")", ""})
	l.addStat("Memory in use", "decmbytes", "Framebuffer memory in use, in MiB, instances added.", line{"sum(max by (Hostname, gpu, UUID, GPU_I_ID) (DCGM_FI_DEV_FB_USED" + chosenGPUs + "))", ""})
	l.addStat("Power", "watt", "Sum of all GPUs, each counted once.", line{"sum(" + gpuValue("DCGM_FI_DEV_POWER_USAGE") + ")", ""})
	l.addStat("GPUs with an XID", "none", "GPUs whose last XID is not 0; it stays until the exporter restarts.", line{"count(" + gpuValue("DCGM_FI_DEV_XID_ERRORS") + " > 0)", ""})
}

func addFleetUse(l *layout) {
	l.startRow("Use")
	l.addGraph("Utilization", "percent", "Share of time in which kernels ran.", line{gpuValue("DCGM_FI_DEV_GPU_UTIL"), gpuLegend})
	l.addGraph("Engine active", "percentunit", "Share of time in which the compute engine was active; also there with MIG.", line{gpuValue("DCGM_FI_PROF_GR_ENGINE_ACTIVE"), gpuLegend})
	l.addGraph("Tensor cores", "percentunit", "Share of cycles in which the tensor pipe was active.", line{gpuValue("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), gpuLegend})
	l.addGraph("Memory in use", "percentunit", "Share of used and free framebuffer memory.", line{perGPU + "(DCGM_FI_DEV_FB_USED" + chosenGPUs + " / (DCGM_FI_DEV_FB_USED" + chosenGPUs + " + DCGM_FI_DEV_FB_FREE" + chosenGPUs + "))", gpuLegend})
	l.addGraph("Memory copy", "percent", "Share of time in which device memory was read or written.", line{gpuValue("DCGM_FI_DEV_MEM_COPY_UTIL"), gpuLegend})
	l.addGraph("SM clock", "hertz", "Clock of the multiprocessors.", line{gpuValue("DCGM_FI_DEV_SM_CLOCK") + " * 1000000", gpuLegend})
}

func addFleetHealth(l *layout) {
	l.startRow("Heat, power and health")
	l.addGraph("Temperature", "celsius", "Temperature of the GPU.", line{gpuValue("DCGM_FI_DEV_GPU_TEMP"), gpuLegend})
	l.addGraph("Memory temperature", "celsius", "Temperature of the memory.", line{gpuValue("DCGM_FI_DEV_MEMORY_TEMP"), gpuLegend})
	l.addGraph("Power", "watt", "Power drawn by the board.", line{gpuValue("DCGM_FI_DEV_POWER_USAGE"), gpuLegend})
	l.addGraph("XID", "none", "Code of the last XID; 0 is none. A code, not a number of errors.", line{gpuValue("DCGM_FI_DEV_XID_ERRORS") + " > 0", gpuLegend})
	l.addGraph("Uncorrected ECC errors", "none", "Since the driver was loaded.", line{gpuValue("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL") + " > 0", gpuLegend})
	l.addGraph("Corrected ECC errors", "none", "New ones.", line{gpuIncrease("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL") + " > 0", gpuLegend})
	l.addGraph("Remapped rows", "none", "Failure and pending are flags, the others counts of the board's life.",
		line{gpuValue("DCGM_FI_DEV_ROW_REMAP_FAILURE") + " > 0", gpuLegend + " failure"}, line{gpuValue("DCGM_FI_DEV_ROW_REMAP_PENDING") + " > 0", gpuLegend + " pending"},
		line{gpuValue("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS") + " > 0", gpuLegend + " uncorrectable"}, line{gpuValue("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS") + " > 0", gpuLegend + " correctable"})
	l.addGraph("Slowed down by hardware", "none", "1 while bit 0x40 (heat) or 0x80 (power brake) of the clocks' event reasons is set.",
		line{perGPU + "(floor(DCGM_FI_DEV_CLOCKS_EVENT_REASONS" + chosenGPUs + " / 64) % 4 > bool 0)", gpuLegend})
	l.addGraph("Time throttled", "ns", "New nanoseconds, by heat and by power.",
		line{gpuIncrease("DCGM_FI_DEV_THERMAL_VIOLATION") + " > 0", gpuLegend + " heat"}, line{gpuIncrease("DCGM_FI_DEV_POWER_VIOLATION") + " > 0", gpuLegend + " power"})
	l.addGraph("PCIe retries", "none", "New ones.", line{gpuIncrease("DCGM_FI_DEV_PCIE_REPLAY_COUNTER") + " > 0", gpuLegend})
	l.addGraph("NVLink errors", "none", "New replays and recoveries.",
		line{gpuIncrease("DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL") + " > 0", gpuLegend + " replay"}, line{gpuIncrease("DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL") + " > 0", gpuLegend + " recovery"})
	l.addGraph("NVLink bandwidth", "MBs", "Over all links.", line{gpuValue("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"), gpuLegend})
}

func addFleetTops(l *layout) {
	l.startRow("Top lists")
	l.addTable("Hottest GPUs", "celsius", "The ten hottest now.", line{"topk(10, " + gpuValue("DCGM_FI_DEV_GPU_TEMP") + ")", ""})
	l.addTable("Most power", "watt", "The ten with the highest power now.", line{"topk(10, " + gpuValue("DCGM_FI_DEV_POWER_USAGE") + ")", ""})
	l.addTable("Least used GPUs with memory taken", "percent", "Held memory (over 1000 MiB) and low utilization.",
		line{"bottomk(10, " + gpuValue("DCGM_FI_DEV_GPU_UTIL") + " and " + gpuValue("DCGM_FI_DEV_FB_USED") + " > 1000)", ""})
	l.addTable("Last XIDs", "none", "GPUs with a code.", line{gpuValue("DCGM_FI_DEV_XID_ERRORS") + " > 0", ""})
}
