package metric_test

import (
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

func TestCatalogueIsSound(t *testing.T) {
	all := metric.All()
	if !slices.IsSortedFunc(all, func(a, b metric.Metric) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the catalogue is not sorted by name, so Lookup cannot find in it")
	}
	names, ids := map[string]bool{}, map[int]string{}
	for _, m := range all {
		if names[m.Name] || m.ID != 0 && ids[m.ID] != "" {
			t.Errorf("%s (%d) is there twice", m.Name, m.ID)
		}
		names[m.Name], ids[m.ID] = true, m.Name
		if m.Unit == "" || m.Help == "" || m.Type == metric.Untyped || m.Min.Compare(m.Max) >= 0 {
			t.Errorf("%s is incomplete: %+v", m.Name, m)
		}
		for _, name := range []string{m.Name, strings.ToLower(m.Name), " " + m.Name + "\t", strings.TrimPrefix(m.Name, "DCGM_FI_DEV_"), strings.TrimPrefix(m.Name, "DCGM_FI_")} {
			got, c, ok := metric.Lookup(name)
			if !ok || got != m || !c.Exact() {
				t.Errorf("Lookup(%q): got %s, %+v, %v; want %s as it is", name, got.Name, c, ok, m.Name)
			}
		}
	}
	if got, want := len(all), 90; got != want {
		t.Errorf("got %d metrics, want %d", got, want)
	}
}

// TestLookup has the other names of the catalogue: of DCGM 4.6 and 4.7, of dcgm-exporter 1.x, of columns. A
// number is what a reading of 1 becomes.
func TestLookup(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(`
SM_CLOCK: DCGM_FI_DEV_SM_CLOCK_HERTZ=1e-6 SMCLK clocks.current.sm clocks.sm pclk sm_clock_mhz dcgm_sm_clock sm_clock
MEM_CLOCK: DCGM_FI_DEV_MEMORY_CLOCK_HERTZ=1e-6 MMCLK clocks.current.memory clocks.mem mclk memory_clock_mhz dcgm_memory_clock
VIDEO_CLOCK: DCGM_FI_DEV_VIDEO_CLOCK_HERTZ=1e-6 VICLK clocks.current.video
MAX_SM_CLOCK: DCGM_FI_DEV_SM_MAX_CLOCK_HERTZ=1e-6 SMMAX clocks.max.sm
MAX_MEM_CLOCK: DCGM_FI_DEV_MEMORY_MAX_CLOCK_HERTZ=1e-6 MMMAX clocks.max.memory
MEMORY_TEMP: DCGM_FI_DEV_MEMORY_TEMP_CELSIUS MMTMP temperature.memory mtemp dcgm_memory_temp
GPU_TEMP: DCGM_FI_DEV_GPU_TEMP_CELSIUS TMPTR temperature.gpu gtemp temperature dcgm_gpu_temp
GPU_TEMP_LIMIT: DCGM_FI_DEV_GPU_TEMP_MARGIN_CELSIUS GTLIMIT temperature.gpu.tlimit
POWER_USAGE: DCGM_FI_DEV_BOARD_POWER_WATTS POWER power.draw pwr power_draw dcgm_power_usage power.draw_[W]
TOTAL_ENERGY_CONSUMPTION: DCGM_FI_DEV_GPU_ENERGY_JOULES_TOTAL=1000 TOTEC dcgm_total_energy_consumption
POWER_USAGE_INSTANT: DCGM_FI_DEV_BOARD_POWER_RAW_WATTS POWINST power.draw.instant
SLOWDOWN_TEMP: DCGM_FI_DEV_GPU_TEMP_SLOWDOWN_CELSIUS SDTMP
SHUTDOWN_TEMP: DCGM_FI_DEV_GPU_TEMP_SHUTDOWN_CELSIUS SHTMP
POWER_MGMT_LIMIT: DCGM_FI_DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS PMLMT power.limit
ENFORCED_POWER_LIMIT: DCGM_FI_DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS EPLMT enforced.power.limit
PSTATE: DCGM_FI_DEV_GPU_PSTATE PSTAT pstate
FAN_SPEED: DCGM_FI_DEV_FAN_SPEED_RATIO=100 FANSP fan.speed
GPU_UTIL: GPUTL utilization.gpu sm gpu_utilization dcgm_gpu_utilization utilization.gpu_[%]
MEM_COPY_UTIL: DCGM_FI_DEV_MEMORY_UTIL_RATIO=100 MCUTL utilization.memory mem memory_utilization dcgm_mem_copy_utilization
ENC_UTIL: DCGM_FI_DEV_ENC_UTIL_RATIO=100 ECUTL utilization.encoder enc dcgm_enc_utilization
DEC_UTIL: DCGM_FI_DEV_DEC_UTIL_RATIO=100 DCUTL utilization.decoder dec dcgm_dec_utilization DCGM_FI_DEV_DEC_UTIL_
FB_TOTAL: FBTTL memory.total
FB_FREE: FBFRE memory.free memory_free_mb dcgm_fb_free
FB_USED: FBUSD memory.used memory_used_mb dcgm_fb_used fb_used memory.used_[MiB]
FB_RESERVED: FBRSV memory.reserved
FB_USED_PERCENT: DCGM_FI_DEV_FB_USED_RATIO FBUSP
CLOCKS_EVENT_REASONS: DCGM_FI_DEV_CLOCK_THROTTLE_REASONS DVCCTR clocks_event_reasons.active
FABRIC_HEALTH_SUMMARY: FMHSUM fabric.health.summary
XID_ERRORS: DCGM_FI_DEV_XID_ERROR XIDER dcgm_xid_errors
POWER_VIOLATION: DCGM_FI_DEV_GPU_POWER_THROTTLE_SECONDS_TOTAL=1e9 PVIOL dcgm_power_violation
THERMAL_VIOLATION: DCGM_FI_DEV_GPU_THERMAL_THROTTLE_SECONDS_TOTAL=1e9 TVIOL dcgm_thermal_violation
RELIABILITY_VIOLATION: RVIOL dcgm_reliability_violation
ECC_SBE_VOL_TOTAL: ESVTL ecc.errors.corrected.volatile.total dcgm_ecc_sbe_volatile_total
ECC_DBE_AGG_TOTAL: EDATL ecc.errors.uncorrected.aggregate.total dcgm_ecc_dbe_aggregate_total
THRESHOLD_SRM: DCGM_FI_DEV_SRAM_EXCEEDED ECCTHRSRM ecc.errors.uncorrected.aggregate.sram.thresholdExceeded
RETIRED_SBE: DCGM_FI_DEV_PAGE_RETIRED_SBE_TOTAL RPSBE retired_pages.single_bit_ecc.count dcgm_retired_pages_sbe
RETIRED_PENDING: DCGM_FI_DEV_PAGE_RETIRED_PENDING RPPEN retired_pages.pending
UNCORRECTABLE_REMAPPED_ROWS: DCGM_FI_DEV_ROW_REMAP_UNCORRECTABLE_TOTAL URMPS remapped_rows.uncorrectable
ROW_REMAP_FAILURE: DCGM_FI_DEV_ROW_REMAP_FAILED RRF remapped_rows.failure
ROW_REMAP_PENDING: RRP remapped_rows.pending
CLOCKS_EVENT_REASON_SW_POWER_CAP_NS: CLKPCNS clocks_event_reasons_counters.sw_power_cap_[us]=1000
MEMORY_UNREPAIRABLE: MEMUNR
GPU_RECOVERY_ACTION: GPURECOV
PCIE_REPLAY_COUNTER: DCGM_FI_DEV_PCIE_REPLAY_TOTAL RPCTR dcgm_pcie_replay_counter
PCIE_LINK_GEN: PCILG pcie.link.gen.current
NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL: DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL NFELT dcgm_nvlink_flit_crc_error_count_total
NVLINK_BANDWIDTH_TOTAL: DCGM_FI_DEV_NVLINK_THROUGHPUT_TOTAL NBWLT dcgm_nvlink_bandwidth_total
NVLINK_ERROR_DL_CRC: DCGM_FI_DEV_NVLINK_CRC_ERROR_TOTAL NLCRC
PROF_GR_ENGINE_ACTIVE: DCGM_FI_DEV_GR_ENGINE_UTIL_RATIO GRACT
PROF_SM_OCCUPANCY: DCGM_FI_DEV_SM_OCCUPANCY_RATIO SMOCC
PROF_PIPE_TENSOR_ACTIVE: DCGM_FI_DEV_TENSOR_UTIL_RATIO TENSO prof_pipe_tensor_active
PROF_PIPE_FP16_ACTIVE: DCGM_FI_DEV_FP16_UTIL_RATIO FP16A
PROF_NVLINK_RX_BYTES: NVLRX
PROF_PIPE_INT_ACTIVE: DCGM_FI_DEV_INT_UTIL_RATIO INTAC
`), "\n") {
		short, aliases, _ := strings.Cut(line, ":")
		want := "DCGM_FI_DEV_" + short
		if strings.HasPrefix(short, "PROF_") {
			want = "DCGM_FI_" + short
		}
		for _, alias := range strings.Fields(aliases) {
			alias, factor, converted := strings.Cut(alias, "=")
			alias = strings.ReplaceAll(alias, "_[", " [")
			alias = strings.TrimSuffix(alias, "_")
			for _, name := range []string{alias, strings.ToUpper(alias), strings.ToLower(alias)} {
				m, c, ok := metric.Lookup(name)
				if !ok || m.Name != want {
					t.Errorf("Lookup(%q): got %q, %v; want %s", name, m.Name, ok, want)
				}
				if got := c.Apply(events.Int(1)); converted && got != number(t, factor) || c.Exact() == converted {
					t.Errorf("Lookup(%q): a reading of 1 becomes %s, want %q", name, got, factor)
				}
			}
		}
	}
}

func TestLookupOfUnknownNames(t *testing.T) {
	for _, name := range []string{"rack_power", "DCGM_FI_DEV_NVLINK_THROUGHPUT_BYTES_PER_SECOND", "dcgm_fi_prof_warp_speed", "DCGM_FI_DEV_", "", "dcgm_temperature.gpu"} {
		m, c, ok := metric.Lookup("  " + name + " ")
		if ok || m.Known() || m.Name != name || !c.Exact() || m.Parts != metric.PerAny {
			t.Errorf("Lookup(%q): got %+v, %+v, %v; want a metric under its own name", name, m, c, ok)
		}
	}
}

func TestNamed(t *testing.T) {
	for _, field := range metric.Named() {
		m, c, ok := metric.Lookup(field.Name)
		if !ok || !c.Exact() || m.Name != field.Metric || m.Unit != field.Unit || field.Description == "" {
			t.Errorf("%+v does not agree with the catalogue's %+v", field, m)
		}
	}
	if got, want := len(metric.Named()), 8; got != want {
		t.Errorf("got %d named fields, want %d", got, want)
	}
}

func number(t *testing.T, text string) events.Number {
	t.Helper()
	n, err := events.ParseNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
