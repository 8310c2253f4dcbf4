package metric_test

import (
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
)

// table is the whole catalogue, written independently from its sources: field id, name up to 4.8 (without
// DCGM_FI_DEV_ where it has that), type (i, d), kind (g, c, r), unit, range, other names. A name with "=" has another
// unit: the value of a reading of 1 follows. "_[" stands for " [".
const table = `
67 MIG_MODE i g state 0 1 MGMOD mig.mode.current
100 SM_CLOCK i g MHz 0 5000 DCGM_FI_DEV_SM_CLOCK_HERTZ=1e-6 SMCLK clocks.current.sm clocks.sm clocks.current.sm_[MHz] pclk sm_clock_mhz dcgm_sm_clock
101 MEM_CLOCK i g MHz 0 20000 DCGM_FI_DEV_MEMORY_CLOCK_HERTZ=1e-6 MMCLK clocks.current.memory clocks.mem mclk memory_clock_mhz dcgm_memory_clock
102 VIDEO_CLOCK i g MHz 0 5000 DCGM_FI_DEV_VIDEO_CLOCK_HERTZ=1e-6 VICLK clocks.current.video clocks.video
112 CLOCKS_EVENT_REASONS i g bits 0 65535 CLOCK_THROTTLE_REASONS DCGM_FI_DEV_CLOCK_THROTTLE_REASONS DVCCTR clocks_event_reasons.active clocks_throttle_reasons.active
113 MAX_SM_CLOCK i g MHz 0 20000 DCGM_FI_DEV_SM_MAX_CLOCK_HERTZ=1e-6 SMMAX clocks.max.sm
114 MAX_MEM_CLOCK i g MHz 0 20000 DCGM_FI_DEV_MEMORY_MAX_CLOCK_HERTZ=1e-6 MMMAX clocks.max.memory clocks.max.mem
140 MEMORY_TEMP i g °C -40 130 DCGM_FI_DEV_MEMORY_TEMP_CELSIUS MMTMP temperature.memory mtemp dcgm_memory_temp
150 GPU_TEMP i g °C -40 130 DCGM_FI_DEV_GPU_TEMP_CELSIUS TMPTR temperature.gpu temperature.gpu_[C] gtemp temperature dcgm_gpu_temp
153 GPU_TEMP_LIMIT i g °C_left -60 150 DCGM_FI_DEV_GPU_TEMP_MARGIN_CELSIUS GTLIMIT temperature.gpu.tlimit
155 POWER_USAGE d g W 0 3000 DCGM_FI_DEV_BOARD_POWER_WATTS POWER power.draw power.draw_[W] pwr power_draw dcgm_power_usage
156 TOTAL_ENERGY_CONSUMPTION i c mJ 0 9007199254740992 DCGM_FI_DEV_GPU_ENERGY_JOULES_TOTAL=1000 TOTEC dcgm_total_energy_consumption
157 POWER_USAGE_INSTANT d g W 0 3000 DCGM_FI_DEV_BOARD_POWER_RAW_WATTS POWINST power.draw.instant gpu.power.draw.instant
158 SLOWDOWN_TEMP i g °C 0 150 DCGM_FI_DEV_GPU_TEMP_SLOWDOWN_CELSIUS SDTMP
159 SHUTDOWN_TEMP i g °C 0 150 DCGM_FI_DEV_GPU_TEMP_SHUTDOWN_CELSIUS SHTMP
160 POWER_MGMT_LIMIT d g W 0 3000 DCGM_FI_DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS PMLMT power.limit gpu.power.requested_limit
164 ENFORCED_POWER_LIMIT d g W 0 3000 DCGM_FI_DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS EPLMT enforced.power.limit gpu.power.current_limit
175 FABRIC_HEALTH_SUMMARY i g state 0 3 FMHSUM fabric.health.summary
190 PSTATE i g state 0 32 DCGM_FI_DEV_GPU_PSTATE PSTAT pstate
191 FAN_SPEED i g % 0 200 DCGM_FI_DEV_FAN_SPEED_RATIO=100 FANSP fan.speed fan.speed_[%]
202 PCIE_REPLAY_COUNTER i c count 0 9007199254740992 DCGM_FI_DEV_PCIE_REPLAY_TOTAL RPCTR dcgm_pcie_replay_counter
203 GPU_UTIL i g % 0 100 DCGM_FI_DEV_GPU_UTIL_RATIO=100 GPUTL utilization.gpu utilization.gpu_[%] sm gpu_utilization dcgm_gpu_utilization
204 MEM_COPY_UTIL i g % 0 100 DCGM_FI_DEV_MEMORY_UTIL_RATIO=100 MCUTL utilization.memory mem memory_utilization dcgm_mem_copy_utilization
206 ENC_UTIL i g % 0 100 DCGM_FI_DEV_ENC_UTIL_RATIO=100 ECUTL utilization.encoder enc dcgm_enc_utilization
207 DEC_UTIL i g % 0 100 DCGM_FI_DEV_DEC_UTIL_RATIO=100 DCUTL utilization.decoder dec dcgm_dec_utilization
230 XID_ERRORS i g code 0 1023 DCGM_FI_DEV_XID_ERROR XIDER dcgm_xid_errors
237 PCIE_LINK_GEN i g generation 0 8 PCILG pcie.link.gen.current
238 PCIE_LINK_WIDTH i g lanes 0 32 PCILW pcie.link.width.current
240 POWER_VIOLATION i c ns 0 4611686018427387904 DCGM_FI_DEV_GPU_POWER_THROTTLE_SECONDS_TOTAL=1e9 PVIOL dcgm_power_violation
241 THERMAL_VIOLATION i c ns 0 4611686018427387904 DCGM_FI_DEV_GPU_THERMAL_THROTTLE_SECONDS_TOTAL=1e9 TVIOL dcgm_thermal_violation
242 SYNC_BOOST_VIOLATION i c ns 0 4611686018427387904 SBVIO dcgm_sync_boost_violation
243 BOARD_LIMIT_VIOLATION i c ns 0 4611686018427387904 BLVIO dcgm_board_limit_violation
244 LOW_UTIL_VIOLATION i c ns 0 4611686018427387904 LUVIO dcgm_low_util_violation
245 RELIABILITY_VIOLATION i c ns 0 4611686018427387904 RVIOL dcgm_reliability_violation
250 FB_TOTAL i g MiB 0 1048576 FBTTL memory.total memory.total_[MiB]
251 FB_FREE i g MiB 0 1048576 FBFRE memory.free memory_free_mb dcgm_fb_free
252 FB_USED i g MiB 0 1048576 FBUSD memory.used memory_used_mb dcgm_fb_used
253 FB_RESERVED i g MiB 0 1048576 FBRSV memory.reserved
254 FB_USED_PERCENT d g ratio 0 1.01 DCGM_FI_DEV_FB_USED_RATIO FBUSP
310 ECC_SBE_VOL_TOTAL i c count 0 9007199254740992 ESVTL ecc.errors.corrected.volatile.total dcgm_ecc_sbe_volatile_total
311 ECC_DBE_VOL_TOTAL i c count 0 9007199254740992 EDVTL ecc.errors.uncorrected.volatile.total dcgm_ecc_dbe_volatile_total
312 ECC_SBE_AGG_TOTAL i c count 0 9007199254740992 ESATL ecc.errors.corrected.aggregate.total dcgm_ecc_sbe_aggregate_total
313 ECC_DBE_AGG_TOTAL i c count 0 9007199254740992 EDATL ecc.errors.uncorrected.aggregate.total dcgm_ecc_dbe_aggregate_total
346 THRESHOLD_SRM i g state 0 1 DCGM_FI_DEV_SRAM_EXCEEDED ECCTHRSRM ecc.errors.uncorrected.aggregate.sram.thresholdExceeded
390 RETIRED_SBE i c count 0 9007199254740992 DCGM_FI_DEV_PAGE_RETIRED_SBE_TOTAL RPSBE retired_pages.single_bit_ecc.count retired_pages.sbe dcgm_retired_pages_sbe
391 RETIRED_DBE i c count 0 9007199254740992 DCGM_FI_DEV_PAGE_RETIRED_DBE_TOTAL RPDBE retired_pages.double_bit.count retired_pages.dbe dcgm_retired_pages_dbe
392 RETIRED_PENDING i g state 0 9007199254740992 DCGM_FI_DEV_PAGE_RETIRED_PENDING RPPEN retired_pages.pending dcgm_retired_pages_pending
393 UNCORRECTABLE_REMAPPED_ROWS i c count 0 9007199254740992 DCGM_FI_DEV_ROW_REMAP_UNCORRECTABLE_TOTAL URMPS remapped_rows.uncorrectable remapped_rows.dbe
394 CORRECTABLE_REMAPPED_ROWS i c count 0 9007199254740992 DCGM_FI_DEV_ROW_REMAP_CORRECTABLE_TOTAL CRMPS remapped_rows.correctable remapped_rows.sbe
395 ROW_REMAP_FAILURE i g state 0 1 DCGM_FI_DEV_ROW_REMAP_FAILED RRF remapped_rows.failure
396 ROW_REMAP_PENDING i g state 0 1 RRP remapped_rows.pending
409 NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL NFELT dcgm_nvlink_flit_crc_error_count_total
419 NVLINK_CRC_DATA_ERROR_COUNT_TOTAL i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_TOTAL NDELT dcgm_nvlink_data_crc_error_count_total
429 NVLINK_REPLAY_ERROR_COUNT_TOTAL i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL NRELT dcgm_nvlink_replay_error_count_total
439 NVLINK_RECOVERY_ERROR_COUNT_TOTAL i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_TOTAL NRCLT dcgm_nvlink_recovery_error_count_total
449 NVLINK_BANDWIDTH_TOTAL i r MB/s 0 1e7 DCGM_FI_DEV_NVLINK_THROUGHPUT_TOTAL NBWLT dcgm_nvlink_bandwidth_total
497 NVLINK_ERROR_DL_CRC i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_CRC_ERROR_TOTAL NLCRC
498 NVLINK_ERROR_DL_RECOVERY i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_RECOVERY_TOTAL NLREC
499 NVLINK_ERROR_DL_REPLAY i c count 0 9007199254740992 DCGM_FI_DEV_NVLINK_REPLAY_TOTAL NLREP
526 VGPU_LICENSE_STATUS i g state 0 1 VLCST
1001 PROF_GR_ENGINE_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_GR_ENGINE_UTIL_RATIO GRACT
1002 PROF_SM_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_SM_UTIL_RATIO SMACT
1003 PROF_SM_OCCUPANCY d g ratio 0 1.01 DCGM_FI_DEV_SM_OCCUPANCY_RATIO SMOCC
1004 PROF_PIPE_TENSOR_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_TENSOR_UTIL_RATIO TENSO
1005 PROF_DRAM_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_DRAM_UTIL_RATIO DRAMA
1006 PROF_PIPE_FP64_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_FP64_UTIL_RATIO FP64A
1007 PROF_PIPE_FP32_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_FP32_UTIL_RATIO FP32A
1008 PROF_PIPE_FP16_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_FP16_UTIL_RATIO FP16A
1009 PROF_PCIE_TX_BYTES i r B/s 0 1e12 PCITX
1010 PROF_PCIE_RX_BYTES i r B/s 0 1e12 PCIRX
1011 PROF_NVLINK_TX_BYTES i r B/s 0 1e13 NVLTX
1012 PROF_NVLINK_RX_BYTES i r B/s 0 1e13 NVLRX
1013 PROF_PIPE_TENSOR_IMMA_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_IMMA_UTIL_RATIO DCGM_FI_PROF_IMMA_UTIL_RATIO TIMMA
1014 PROF_PIPE_TENSOR_HMMA_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_HMMA_UTIL_RATIO THMMA
1015 PROF_PIPE_TENSOR_DFMA_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_DFMA_UTIL_RATIO TDFMA
1016 PROF_PIPE_INT_ACTIVE d g ratio 0 1.01 DCGM_FI_DEV_INT_UTIL_RATIO INTAC
1420 CLOCKS_EVENT_REASON_SW_POWER_CAP_NS i c ns 0 4611686018427387904 CLKPCNS clocks_event_reasons_counters.sw_power_cap_[us]=1000 clocks_event_reasons_counters.sw_power_cap=1000
1421 CLOCKS_EVENT_REASON_SYNC_BOOST_NS i c ns 0 4611686018427387904 CLKBSTNS clocks_event_reasons_counters.sync_boost_[us]=1000
1422 CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS i c ns 0 4611686018427387904 CLKSWTHNS clocks_event_reasons_counters.sw_thermal_slowdown_[us]=1000
1423 CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS i c ns 0 4611686018427387904 CLKHWTHNS clocks_event_reasons_counters.hw_thermal_slowdown_[us]=1000
1424 CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS i c ns 0 4611686018427387904 CLKEPBSNS clocks_event_reasons_counters.hw_power_brake_slowdown_[us]=1000
1507 MEMORY_UNREPAIRABLE i g state 0 1 MEMUNR
1523 GPU_RECOVERY_ACTION i g code 0 255 GPURECOV gpu_recovery_action
0 DCGM_EXP_XID_ERRORS_COUNT i g count 0 9007199254740992
0 DCGM_EXP_XID_ERRORS_TOTAL i c count 0 9007199254740992
0 DCGM_EXP_CLOCK_EVENTS_COUNT i g count 0 9007199254740992
0 DCGM_EXP_CLOCK_EVENTS_TOTAL i c count 0 9007199254740992
0 DCGM_EXP_GPU_HEALTH_STATUS i g state 0 9007199254740992
0 DCGM_EXP_P2P_STATUS i g state 0 9007199254740992
0 process_used_memory_mib i g MiB 0 1048576
`

// row is a line of the table.
type row struct {
	metric.Metric
	aliases []string
}

func catalogue(t *testing.T) []row {
	t.Helper()
	var rows []row
	for line := range strings.Lines(strings.TrimSpace(table)) {
		f := strings.Fields(line)
		r := row{aliases: f[7:]}
		for _, prefix := range []string{"PROF_=DCGM_FI_", "DCGM_=", "process_=", "=DCGM_FI_DEV_"} {
			if start, prefix, _ := strings.Cut(prefix, "="); strings.HasPrefix(f[1], start) {
				r.Name = prefix + f[1]
				break
			}
		}
		id, _ := parseNumber(t, f[0]).MantissaAt(0)
		r.ID, r.Unit = int(id), strings.ReplaceAll(f[4], "_", " ")
		r.Type = map[string]metric.Type{"i": metric.Int64, "d": metric.Double}[f[2]]
		r.Kind = map[string]metric.Kind{"g": metric.Gauge, "c": metric.Counter, "r": metric.Rate}[f[3]]
		r.Min, r.Max = parseNumber(t, f[5]), parseNumber(t, f[6])
		rows = append(rows, r)
	}
	return rows
}

func TestCatalogue(t *testing.T) {
	want := catalogue(t)
	for _, m := range metric.All() {
		i := slices.IndexFunc(want, func(r row) bool { return r.Name == m.Name })
		if i < 0 {
			t.Errorf("%s is not in the table", m.Name)
			continue
		}
		w := want[i]
		if m.ID != w.ID || m.Unit != w.Unit || m.Type != w.Type || m.Kind != w.Kind || m.Min != w.Min || m.Max != w.Max {
			t.Errorf("got %+v, want %+v", m, w.Metric)
		}
		checkNames(t, w)
	}
	if got := len(metric.All()); got != len(want) {
		t.Errorf("got %d metrics, want %d", got, len(want))
	}
}

// checkNames looks up a metric by all its names, in three cases and with blanks.
func checkNames(t *testing.T, r row) {
	t.Helper()
	names := append([]string{r.Name, strings.TrimPrefix(r.Name, "DCGM_FI_DEV_"), strings.TrimPrefix(r.Name, "DCGM_FI_")}, r.aliases...)
	for _, name := range names {
		name, factor, converted := strings.Cut(strings.ReplaceAll(name, "_[", " ["), "=")
		for _, name := range []string{name, strings.ToUpper(name), strings.ToLower(name), " " + name + "\t"} {
			m, c, ok := metric.Lookup(name)
			if name == "pviol" || name == "tviol" { // columns of nvidia-smi dmon with another meaning
				if ok || m.Name != name {
					t.Errorf("Lookup(%q): got %q, %v; want it under its own name", name, m.Name, ok)
				}
				continue
			}
			if !ok || m.Name != r.Name {
				t.Errorf("Lookup(%q): got %q, %v; want %s", name, m.Name, ok, r.Name)
			}
			if got := c.Apply(events.Int(1)); converted && got != parseNumber(t, factor) || c.Exact() == converted {
				t.Errorf("Lookup(%q): a reading of 1 becomes %s, want %q", name, got, factor)
			}
		}
	}
}
