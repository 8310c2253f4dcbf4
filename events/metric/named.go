package metric

// NamedField is one of the eight readings that a telemetry entry shows under a name of its own.
type NamedField struct {
	Name        string // as in wide files, REST and GraphQL, such as gpu_utilization
	Metric      string // canonical
	Unit        string
	Description string
}

// Named gives the named fields in the order of the wide form. The slice is the caller's.
func Named() []NamedField {
	return []NamedField{
		{"gpu_utilization", "DCGM_FI_DEV_GPU_UTIL", "%", "Share of time in which kernels ran on the GPU, in percent."},
		{"memory_utilization", "DCGM_FI_DEV_MEM_COPY_UTIL", "%", "Share of time in which device memory was read or written, in percent."},
		{"memory_used_mb", "DCGM_FI_DEV_FB_USED", "MiB", "Framebuffer memory in use, in MiB."},
		{"memory_free_mb", "DCGM_FI_DEV_FB_FREE", "MiB", "Framebuffer memory free, in MiB."},
		{"temperature", "DCGM_FI_DEV_GPU_TEMP", "°C", "Temperature of the GPU, in degrees Celsius."},
		{"power_draw", "DCGM_FI_DEV_POWER_USAGE", "W", "Power drawn by the board, in watts."},
		{"sm_clock_mhz", "DCGM_FI_DEV_SM_CLOCK", "MHz", "Clock of the streaming multiprocessors, in MHz."},
		{"memory_clock_mhz", "DCGM_FI_DEV_MEM_CLOCK", "MHz", "Clock of the memory, in MHz."},
	}
}
