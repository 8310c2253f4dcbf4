package metric

// column knows the device fields by the columns of the wide form, nvidia-smi --query-gpu, nvidia-smi dmon
// and dcgmi dmon, in that order. Profiling fields by their dcgmi dmon name are in profilingColumn.
func column(name string) (string, Conversion) {
	switch name {
	case "sm_clock_mhz", "clocks.current.sm", "clocks.sm", "pclk", "smclk":
		return "SM_CLOCK", Conversion{}
	case "memory_clock_mhz", "clocks.current.memory", "clocks.mem", "mclk", "mmclk":
		return "MEM_CLOCK", Conversion{}
	case "clocks.current.video", "clocks.video", "viclk":
		return "VIDEO_CLOCK", Conversion{}
	case "clocks.max.sm", "smmax":
		return "MAX_SM_CLOCK", Conversion{}
	case "clocks.max.memory", "clocks.max.mem", "mmmax":
		return "MAX_MEM_CLOCK", Conversion{}
	case "temperature.memory", "mtemp", "mmtmp":
		return "MEMORY_TEMP", Conversion{}
	case "temperature", "temperature.gpu", "gtemp", "tmptr":
		return "GPU_TEMP", Conversion{}
	case "temperature.gpu.tlimit", "gtlimit":
		return "GPU_TEMP_LIMIT", Conversion{}
	case "power_draw", "power.draw", "pwr", "power":
		return "POWER_USAGE", Conversion{}
	case "totec":
		return "TOTAL_ENERGY_CONSUMPTION", Conversion{}
	case "power.draw.instant", "gpu.power.draw.instant", "powinst":
		return "POWER_USAGE_INSTANT", Conversion{}
	case "sdtmp":
		return "SLOWDOWN_TEMP", Conversion{}
	case "shtmp":
		return "SHUTDOWN_TEMP", Conversion{}
	case "power.limit", "gpu.power.requested_limit", "pmlmt":
		return "POWER_MGMT_LIMIT", Conversion{}
	case "enforced.power.limit", "gpu.power.current_limit", "eplmt":
		return "ENFORCED_POWER_LIMIT", Conversion{}
	case "pstate", "pstat":
		return "PSTATE", Conversion{}
	case "fan.speed", "fansp":
		return "FAN_SPEED", Conversion{}
	case "gpu_utilization", "utilization.gpu", "sm", "gputl":
		return "GPU_UTIL", Conversion{}
	case "memory_utilization", "utilization.memory", "mem", "mcutl":
		return "MEM_COPY_UTIL", Conversion{}
	case "utilization.encoder", "enc", "ecutl":
		return "ENC_UTIL", Conversion{}
	case "utilization.decoder", "dec", "dcutl":
		return "DEC_UTIL", Conversion{}
	case "memory.total", "fbttl":
		return "FB_TOTAL", Conversion{}
	case "memory_free_mb", "memory.free", "fbfre":
		return "FB_FREE", Conversion{}
	case "memory_used_mb", "memory.used", "fbusd":
		return "FB_USED", Conversion{}
	case "memory.reserved", "fbrsv":
		return "FB_RESERVED", Conversion{}
	case "fbusp":
		return "FB_USED_PERCENT", Conversion{}
	case "mig.mode.current", "mgmod":
		return "MIG_MODE", Conversion{}
	case "vlcst":
		return "VGPU_LICENSE_STATUS", Conversion{}
	}
	return faultColumn(name)
}

// faultColumn goes on with faults, health and links.
func faultColumn(name string) (string, Conversion) {
	us := Conversion{scale: kilo} // nvidia-smi counts microseconds
	switch name {
	case "clocks_event_reasons.active", "clocks_throttle_reasons.active", "dvcctr":
		return "CLOCKS_EVENT_REASONS", Conversion{}
	case "fabric.health.summary", "fmhsum":
		return "FABRIC_HEALTH_SUMMARY", Conversion{}
	case "xider":
		return "XID_ERRORS", Conversion{}
	case "pviol":
		return "POWER_VIOLATION", Conversion{}
	case "tviol":
		return "THERMAL_VIOLATION", Conversion{}
	case "sbvio":
		return "SYNC_BOOST_VIOLATION", Conversion{}
	case "blvio":
		return "BOARD_LIMIT_VIOLATION", Conversion{}
	case "luvio":
		return "LOW_UTIL_VIOLATION", Conversion{}
	case "rviol":
		return "RELIABILITY_VIOLATION", Conversion{}
	case "ecc.errors.corrected.volatile.total", "esvtl":
		return "ECC_SBE_VOL_TOTAL", Conversion{}
	case "ecc.errors.uncorrected.volatile.total", "edvtl":
		return "ECC_DBE_VOL_TOTAL", Conversion{}
	case "ecc.errors.corrected.aggregate.total", "esatl":
		return "ECC_SBE_AGG_TOTAL", Conversion{}
	case "ecc.errors.uncorrected.aggregate.total", "edatl":
		return "ECC_DBE_AGG_TOTAL", Conversion{}
	case "ecc.errors.uncorrected.aggregate.sram.thresholdexceeded", "eccthrsrm":
		return "THRESHOLD_SRM", Conversion{}
	case "retired_pages.single_bit_ecc.count", "retired_pages.sbe", "rpsbe":
		return "RETIRED_SBE", Conversion{}
	case "retired_pages.double_bit.count", "retired_pages.dbe", "rpdbe":
		return "RETIRED_DBE", Conversion{}
	case "retired_pages.pending", "rppen":
		return "RETIRED_PENDING", Conversion{}
	case "remapped_rows.uncorrectable", "remapped_rows.dbe", "urmps":
		return "UNCORRECTABLE_REMAPPED_ROWS", Conversion{}
	case "remapped_rows.correctable", "remapped_rows.sbe", "crmps":
		return "CORRECTABLE_REMAPPED_ROWS", Conversion{}
	case "remapped_rows.failure", "rrf":
		return "ROW_REMAP_FAILURE", Conversion{}
	case "remapped_rows.pending", "rrp":
		return "ROW_REMAP_PENDING", Conversion{}
	case "clocks_event_reasons_counters.sw_power_cap":
		return "CLOCKS_EVENT_REASON_SW_POWER_CAP_NS", us
	case "clocks_event_reasons_counters.sync_boost":
		return "CLOCKS_EVENT_REASON_SYNC_BOOST_NS", us
	case "clocks_event_reasons_counters.sw_thermal_slowdown":
		return "CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS", us
	case "clocks_event_reasons_counters.hw_thermal_slowdown":
		return "CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS", us
	case "clocks_event_reasons_counters.hw_power_brake_slowdown":
		return "CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS", us
	case "clkpcns":
		return "CLOCKS_EVENT_REASON_SW_POWER_CAP_NS", Conversion{}
	case "clkbstns":
		return "CLOCKS_EVENT_REASON_SYNC_BOOST_NS", Conversion{}
	case "clkswthns":
		return "CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS", Conversion{}
	case "clkhwthns":
		return "CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS", Conversion{}
	case "clkepbsns":
		return "CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS", Conversion{}
	case "memunr":
		return "MEMORY_UNREPAIRABLE", Conversion{}
	case "gpurecov":
		return "GPU_RECOVERY_ACTION", Conversion{}
	case "rpctr":
		return "PCIE_REPLAY_COUNTER", Conversion{}
	case "pcie.link.gen.current", "pcilg":
		return "PCIE_LINK_GEN", Conversion{}
	case "pcie.link.width.current", "pcilw":
		return "PCIE_LINK_WIDTH", Conversion{}
	case "nfelt":
		return "NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", Conversion{}
	case "ndelt":
		return "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", Conversion{}
	case "nrelt":
		return "NVLINK_REPLAY_ERROR_COUNT_TOTAL", Conversion{}
	case "nrclt":
		return "NVLINK_RECOVERY_ERROR_COUNT_TOTAL", Conversion{}
	case "nbwlt":
		return "NVLINK_BANDWIDTH_TOTAL", Conversion{}
	case "nlcrc":
		return "NVLINK_ERROR_DL_CRC", Conversion{}
	case "nlrec":
		return "NVLINK_ERROR_DL_RECOVERY", Conversion{}
	case "nlrep":
		return "NVLINK_ERROR_DL_REPLAY", Conversion{}
	}
	return "", Conversion{}
}

// profilingColumn knows the profiling fields by their dcgmi dmon column.
func profilingColumn(name string) string {
	switch name {
	case "gract":
		return "GR_ENGINE_ACTIVE"
	case "smact":
		return "SM_ACTIVE"
	case "smocc":
		return "SM_OCCUPANCY"
	case "tenso":
		return "PIPE_TENSOR_ACTIVE"
	case "drama":
		return "DRAM_ACTIVE"
	case "fp64a":
		return "PIPE_FP64_ACTIVE"
	case "fp32a":
		return "PIPE_FP32_ACTIVE"
	case "fp16a":
		return "PIPE_FP16_ACTIVE"
	case "pcitx":
		return "PCIE_TX_BYTES"
	case "pcirx":
		return "PCIE_RX_BYTES"
	case "nvltx":
		return "NVLINK_TX_BYTES"
	case "nvlrx":
		return "NVLINK_RX_BYTES"
	case "timma":
		return "PIPE_TENSOR_IMMA_ACTIVE"
	case "thmma":
		return "PIPE_TENSOR_HMMA_ACTIVE"
	case "tdfma":
		return "PIPE_TENSOR_DFMA_ACTIVE"
	case "intac":
		return "PIPE_INT_ACTIVE"
	}
	return ""
}
