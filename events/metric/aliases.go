package metric

// The functions of this file give the name up to 4.8, without its prefix, for the names of other
// generations and tools, all in lower case; "" when they have none.

// renamed knows the DCGM 4.6 spellings of fields that kept their unit, and the older ones.
func renamed(name string) string {
	switch name {
	case "memory_temp_celsius":
		return "MEMORY_TEMP"
	case "gpu_temp_celsius":
		return "GPU_TEMP"
	case "gpu_temp_margin_celsius":
		return "GPU_TEMP_LIMIT"
	case "gpu_temp_slowdown_celsius":
		return "SLOWDOWN_TEMP"
	case "gpu_temp_shutdown_celsius":
		return "SHUTDOWN_TEMP"
	case "board_power_watts":
		return "POWER_USAGE"
	case "board_power_raw_watts":
		return "POWER_USAGE_INSTANT"
	case "board_power_limit_requested_watts":
		return "POWER_MGMT_LIMIT"
	case "board_power_limit_enforced_watts":
		return "ENFORCED_POWER_LIMIT"
	case "gpu_pstate":
		return "PSTATE"
	case "fb_used_ratio":
		return "FB_USED_PERCENT"
	case "clock_throttle_reasons":
		return "CLOCKS_EVENT_REASONS"
	case "xid_error":
		return "XID_ERRORS"
	case "sram_exceeded":
		return "THRESHOLD_SRM"
	case "page_retired_sbe_total":
		return "RETIRED_SBE"
	case "page_retired_dbe_total":
		return "RETIRED_DBE"
	case "page_retired_pending":
		return "RETIRED_PENDING"
	case "row_remap_uncorrectable_total":
		return "UNCORRECTABLE_REMAPPED_ROWS"
	case "row_remap_correctable_total":
		return "CORRECTABLE_REMAPPED_ROWS"
	case "row_remap_failed":
		return "ROW_REMAP_FAILURE"
	case "pcie_replay_total":
		return "PCIE_REPLAY_COUNTER"
	case "nvlink_crc_flit_error_total":
		return "NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL"
	case "nvlink_crc_data_error_total":
		return "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"
	case "nvlink_replay_error_total":
		return "NVLINK_REPLAY_ERROR_COUNT_TOTAL"
	case "nvlink_recovery_error_total":
		return "NVLINK_RECOVERY_ERROR_COUNT_TOTAL"
	case "nvlink_throughput_total":
		return "NVLINK_BANDWIDTH_TOTAL"
	case "nvlink_crc_error_total":
		return "NVLINK_ERROR_DL_CRC"
	case "nvlink_recovery_total":
		return "NVLINK_ERROR_DL_RECOVERY"
	case "nvlink_replay_total":
		return "NVLINK_ERROR_DL_REPLAY"
	}
	return ""
}

// rescaled knows the DCGM 4.7 fields that dcgm-exporter 4.9 gives in another unit, and the memory of GPUs as the
// agent of Fleet Intelligence has it. GPU_UTIL_RATIO is two
// fields: 0–100 in DCGM 4.6, 0–1 in 4.7.
func rescaled(name string) (string, Conversion) {
	switch name {
	case "sm_clock_hertz":
		return "SM_CLOCK", Conversion{scale: -mega}
	case "memory_clock_hertz":
		return "MEM_CLOCK", Conversion{scale: -mega}
	case "video_clock_hertz":
		return "VIDEO_CLOCK", Conversion{scale: -mega}
	case "sm_max_clock_hertz":
		return "MAX_SM_CLOCK", Conversion{scale: -mega}
	case "memory_max_clock_hertz":
		return "MAX_MEM_CLOCK", Conversion{scale: -mega}
	case "gpu_energy_joules_total":
		return "TOTAL_ENERGY_CONSUMPTION", Conversion{scale: kilo}
	case "fan_speed_ratio":
		return "FAN_SPEED", Conversion{scale: cent}
	case "gpu_util_ratio":
		return "GPU_UTIL", Conversion{scale: cent, guess: true}
	case "memory_util_ratio":
		return "MEM_COPY_UTIL", Conversion{scale: cent}
	case "enc_util_ratio":
		return "ENC_UTIL", Conversion{scale: cent}
	case "dec_util_ratio":
		return "DEC_UTIL", Conversion{scale: cent}
	case "fb_capacity_bytes", "accelerator_nvidia_memory_total_bytes":
		return "FB_TOTAL", Conversion{mebi: true}
	case "fb_free_bytes", "accelerator_nvidia_memory_free_bytes":
		return "FB_FREE", Conversion{mebi: true}
	case "fb_used_bytes", "accelerator_nvidia_memory_used_bytes":
		return "FB_USED", Conversion{mebi: true}
	case "fb_reserved_bytes", "accelerator_nvidia_memory_reserved_bytes":
		return "FB_RESERVED", Conversion{mebi: true}
	case "gpu_power_throttle_seconds_total":
		return "POWER_VIOLATION", Conversion{scale: nano}
	case "gpu_thermal_throttle_seconds_total":
		return "THERMAL_VIOLATION", Conversion{scale: nano}
	}
	return "", Conversion{}
}

// profilingRatio knows the DCGM 4.6 spellings of the profiling fields, which are DCGM_FI_PROF_ up to 4.8.
func profilingRatio(name string) string {
	switch name {
	case "gr_engine_util_ratio":
		return "GR_ENGINE_ACTIVE"
	case "sm_util_ratio":
		return "SM_ACTIVE"
	case "sm_occupancy_ratio":
		return "SM_OCCUPANCY"
	case "tensor_util_ratio":
		return "PIPE_TENSOR_ACTIVE"
	case "dram_util_ratio":
		return "DRAM_ACTIVE"
	case "fp64_util_ratio":
		return "PIPE_FP64_ACTIVE"
	case "fp32_util_ratio":
		return "PIPE_FP32_ACTIVE"
	case "fp16_util_ratio":
		return "PIPE_FP16_ACTIVE"
	case "imma_util_ratio":
		return "PIPE_TENSOR_IMMA_ACTIVE"
	case "hmma_util_ratio":
		return "PIPE_TENSOR_HMMA_ACTIVE"
	case "dfma_util_ratio":
		return "PIPE_TENSOR_DFMA_ACTIVE"
	case "int_util_ratio":
		return "PIPE_INT_ACTIVE"
	}
	return ""
}

// firstGeneration knows the metrics of dcgm-exporter 1.x, which are named dcgm_ and the name here.
func firstGeneration(name string) string {
	switch name {
	case "sm_clock":
		return "SM_CLOCK"
	case "memory_clock":
		return "MEM_CLOCK"
	case "memory_temp":
		return "MEMORY_TEMP"
	case "gpu_temp":
		return "GPU_TEMP"
	case "power_usage":
		return "POWER_USAGE"
	case "total_energy_consumption":
		return "TOTAL_ENERGY_CONSUMPTION"
	case "pcie_replay_counter":
		return "PCIE_REPLAY_COUNTER"
	case "gpu_utilization":
		return "GPU_UTIL"
	case "mem_copy_utilization":
		return "MEM_COPY_UTIL"
	case "enc_utilization":
		return "ENC_UTIL"
	case "dec_utilization":
		return "DEC_UTIL"
	case "xid_errors":
		return "XID_ERRORS"
	case "fb_free":
		return "FB_FREE"
	case "fb_used":
		return "FB_USED"
	case "power_violation":
		return "POWER_VIOLATION"
	case "thermal_violation":
		return "THERMAL_VIOLATION"
	case "sync_boost_violation":
		return "SYNC_BOOST_VIOLATION"
	case "board_limit_violation":
		return "BOARD_LIMIT_VIOLATION"
	case "low_util_violation":
		return "LOW_UTIL_VIOLATION"
	case "reliability_violation":
		return "RELIABILITY_VIOLATION"
	case "ecc_sbe_volatile_total":
		return "ECC_SBE_VOL_TOTAL"
	case "ecc_dbe_volatile_total":
		return "ECC_DBE_VOL_TOTAL"
	case "ecc_sbe_aggregate_total":
		return "ECC_SBE_AGG_TOTAL"
	case "ecc_dbe_aggregate_total":
		return "ECC_DBE_AGG_TOTAL"
	case "retired_pages_sbe":
		return "RETIRED_SBE"
	case "retired_pages_dbe":
		return "RETIRED_DBE"
	case "retired_pages_pending":
		return "RETIRED_PENDING"
	case "nvlink_flit_crc_error_count_total":
		return "NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL"
	case "nvlink_data_crc_error_count_total":
		return "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL"
	case "nvlink_replay_error_count_total":
		return "NVLINK_REPLAY_ERROR_COUNT_TOTAL"
	case "nvlink_recovery_error_count_total":
		return "NVLINK_RECOVERY_ERROR_COUNT_TOTAL"
	case "nvlink_bandwidth_total":
		return "NVLINK_BANDWIDTH_TOTAL"
	}
	return ""
}
