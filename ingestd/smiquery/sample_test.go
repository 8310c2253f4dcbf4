package smiquery_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/rows"
)

// fields are the columns of the captures that DCGM has a field for, without DCGM_FI_DEV_.
const fields = `
pcie.link.gen.current PCIE_LINK_GEN
pcie.link.width.current PCIE_LINK_WIDTH
gpu_recovery_action GPU_RECOVERY_ACTION
fan.speed FAN_SPEED
pstate PSTATE
clocks_event_reasons.active CLOCKS_EVENT_REASONS
clocks_event_reasons_counters.sw_power_cap CLOCKS_EVENT_REASON_SW_POWER_CAP_NS
clocks_event_reasons_counters.sync_boost CLOCKS_EVENT_REASON_SYNC_BOOST_NS
clocks_event_reasons_counters.sw_thermal_slowdown CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS
clocks_event_reasons_counters.hw_thermal_slowdown CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS
clocks_event_reasons_counters.hw_power_brake_slowdown CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS
memory.total FB_TOTAL
memory.reserved FB_RESERVED
memory.used FB_USED
memory.free FB_FREE
utilization.gpu GPU_UTIL
utilization.memory MEM_COPY_UTIL
utilization.encoder ENC_UTIL
utilization.decoder DEC_UTIL
ecc.errors.corrected.volatile.total ECC_SBE_VOL_TOTAL
ecc.errors.corrected.aggregate.total ECC_SBE_AGG_TOTAL
ecc.errors.uncorrected.volatile.total ECC_DBE_VOL_TOTAL
ecc.errors.uncorrected.aggregate.total ECC_DBE_AGG_TOTAL
ecc.errors.uncorrected.aggregate.sram.thresholdExceeded THRESHOLD_SRM
retired_pages.single_bit_ecc.count RETIRED_SBE
retired_pages.double_bit.count RETIRED_DBE
retired_pages.pending RETIRED_PENDING
remapped_rows.correctable CORRECTABLE_REMAPPED_ROWS
remapped_rows.uncorrectable UNCORRECTABLE_REMAPPED_ROWS
remapped_rows.pending ROW_REMAP_PENDING
remapped_rows.failure ROW_REMAP_FAILURE
temperature.gpu GPU_TEMP
temperature.gpu.tlimit GPU_TEMP_LIMIT
temperature.memory MEMORY_TEMP
power.draw POWER_USAGE
power.draw.instant POWER_USAGE_INSTANT
power.limit POWER_MGMT_LIMIT
enforced.power.limit ENFORCED_POWER_LIMIT
clocks.current.sm SM_CLOCK
clocks.current.memory MEM_CLOCK
clocks.current.video VIDEO_CLOCK
clocks.max.sm MAX_SM_CLOCK
clocks.max.memory MAX_MEM_CLOCK
mig.mode.current MIG_MODE
fabric.health.summary FABRIC_HEALTH_SUMMARY
`

// identities are the columns of the captures that name the GPU and its driver, and the columns that are masked.
const identities = ` timestamp driver_version name uuid pci.bus_id index serial fabric.clusterUuid platform.gpu_fabric_guid `

// texts are the columns of the captures that describe the GPU, and are labels if they are not empty.
const texts = ` pci.domain pci.bus pci.device pci.baseClass pci.subClass pci.device_id pci.sub_device_id addressing_mode driver_model.current driver_model.pending vbios_version inforom.img inforom.oem inforom.ecc inforom.pwr inforom.checksum_validation gom.current gom.pending compute_mode compute_cap fabric.state fabric.status fabric.cliqueId platform.chassis_serial_number platform.slot_number platform.tray_index platform.host_id platform.peer_type platform.module_id `

// tokens are the captures' words for a missing reading.
var tokens = map[string]events.Reason{
	"[N/A]": events.NotSupported, "N/A": events.NotSupported, "": events.Blank,
	"[Requested functionality has been deprecated]": events.Deprecated,
}

// capture is a file that is only split at its commas.
type capture struct{ columns, cells []string }

func readCapture(t *testing.T, name string) (capture, []byte) {
	t.Helper()
	data := dialecttest.Sample(t, "nvidia-smi/"+name+"-query-gpu.csv")
	lines := strings.Split(string(data), "\n")
	var c capture
	for _, column := range strings.Split(lines[0], ",") {
		c.columns = append(c.columns, strings.TrimSpace(column))
	}
	for _, cell := range strings.Split(lines[1], ",") {
		c.cells = append(c.cells, strings.TrimSpace(cell))
	}
	return c, data
}

// readingText returns the value of a reading's cell as text.
func readingText(t *testing.T, cell string) string {
	t.Helper()
	switch cell {
	case "Active", "Enabled", "Yes":
		return "1"
	case "Not Active", "Disabled", "No", "None", "P0":
		return "0"
	case "P2":
		return "2"
	case "P8":
		return "8"
	}
	number, unit, _ := strings.Cut(cell, " ")
	if hex, ok := strings.CutPrefix(number, "0x"); ok {
		v, err := strconv.ParseInt(hex, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		number = strconv.FormatInt(v, 10)
	}
	if unit == "us" && number != "0" {
		number += "000" // to nanoseconds
	}
	if strings.Contains(number, ".") {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	return number
}

// TestSamples compares every cell of the captures with the text of the file.
func TestSamples(t *testing.T) {
	named := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(fields)) {
		column, field, _ := strings.Cut(strings.TrimSpace(line), " ")
		named[column] = "DCGM_FI_DEV_" + field
	}
	for _, name := range []string{"h100-idle", "h100-load", "h200-idle", "h200-load", "rtx2080-windows-idle", "rtx2080-windows-load"} {
		t.Run(name, func(t *testing.T) {
			c, data := readCapture(t, name)
			want, labels := map[string]string{}, map[string]string{}
			for i, column := range c.columns {
				bare, _, _ := strings.Cut(column, " [")
				metric := cmp.Or(named[bare], bare)
				if reason, absent := tokens[c.cells[i]]; absent {
					want[column] = fmt.Sprintf("%s = %s %q", metric, reason, c.cells[i])
				} else if strings.Contains(texts, " "+bare+" ") {
					labels[column] = c.cells[i]
				} else if !strings.Contains(identities, " "+bare+" ") {
					want[column] = metric + " = " + readingText(t, c.cells[i])
				}
			}
			read := readSample(t, data, len(want))
			got := map[string]string{}
			for _, r := range read.Records {
				text := r.Value.Number.String()
				if r.Value.Absent != events.Present {
					text = fmt.Sprintf("%s %q", r.Value.Absent, r.Value.Raw)
				}
				got[r.Source] = r.Metric + " = " + text
				checkRecord(t, c, &r, labels)
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("readings by column (-want +got):\n%s", diff)
			}
		})
	}
}

func readSample(t *testing.T, data []byte, records int) *dialecttest.Read {
	t.Helper()
	read, err := queryDialect().Read(bytes.NewReader(data), dialect.Options{Host: "n1"}, rows.Options{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if read.Rows != 1 || len(read.Records) != records || len(read.Rejections)+len(read.Warnings)+read.Skipped > 0 || !read.ZoneAssumed {
		t.Fatalf("got %d rows, %d records, rejections %v, warnings %v; want a row of %d records in an assumed zone, and nothing else",
			read.Rows, len(read.Records), read.Rejections, read.Warnings, records)
	}
	return read
}

// checkRecord compares the members that all records of a capture have in common.
func checkRecord(t *testing.T, c capture, r *dialecttest.Record, labels map[string]string) {
	t.Helper()
	cell := func(column string) string { return c.cells[slices.Index(c.columns, column)] }
	at := strings.NewReplacer("/", "-", " ", "T").Replace(cell("timestamp"))
	if got := r.At.Time().Format("2006-01-02T15:04:05.000"); got != at {
		t.Errorf("%s: got time %s, want %s", r.Source, got, at)
	}
	if entity := r.Identity.Entity(r.Host); r.Host != "n1" || entity.GPU != "n1:0" || entity.Part != "" {
		t.Errorf("%s: got host %s and entity %v; want n1 and its GPU 0, for the UUID is masked", r.Source, r.Host, entity)
	}
	if id := r.Identity; id.UUID != "" || id.Model != cell("name") || id.Driver != cell("driver_version") || id.PCI != strings.ToLower(cell("pci.bus_id")) {
		t.Errorf("%s: got identity %+v", r.Source, id)
	}
	got := map[string]string{}
	for _, l := range r.Identity.Labels {
		got[l.Name] = l.Value
	}
	if !maps.Equal(got, labels) {
		t.Fatalf("%s: labels (-want +got):\n%s", r.Source, gocmp.Diff(labels, got))
	}
}

// TestSampleFacts compares the captures with facts known about them.
func TestSampleFacts(t *testing.T) {
	for line := range strings.Lines(`h100-idle 212 74 67 6 0 0 41 46 69.85 345 2619 1
h100-load 212 74 67 6 100 19818 59 26 631.95 1980 2619 0
h200-idle 212 74 67 6 0 0 28 59 77.71 345 3201 1
h200-load 212 74 67 6 100 32362 52 35 627.4 1980 3201 0
rtx2080-windows-idle 210 127 120 6 0 702 40 - 38.92 300 405 1
rtx2080-windows-load 210 127 120 6 7 1296 45 - 97.43 2055 7500 1
`) {
		f := strings.Fields(line)
		c, data := readCapture(t, f[0])
		read, err := queryDialect().Read(bytes.NewReader(data), dialect.Options{Host: "n1"}, rows.Options{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		reasons := map[events.Reason]int{}
		values := map[string]string{}
		for _, r := range read.Records {
			reasons[r.Value.Absent]++
			values[strings.TrimPrefix(r.Metric, "DCGM_FI_DEV_")] = r.Value.Number.String()
			if r.Value.Absent != events.Present {
				values[strings.TrimPrefix(r.Metric, "DCGM_FI_DEV_")] = "-"
			}
		}
		got := []string{f[0], strconv.Itoa(len(c.cells)), strconv.Itoa(read.Absent),
			strconv.Itoa(reasons[events.NotSupported]), strconv.Itoa(reasons[events.Deprecated])}
		for _, name := range []string{"GPU_UTIL", "FB_USED", "GPU_TEMP", "GPU_TEMP_LIMIT", "POWER_USAGE", "SM_CLOCK", "MEM_CLOCK", "CLOCKS_EVENT_REASONS"} {
			got = append(got, values[name])
		}
		if diff := gocmp.Diff(f, got); diff != "" || reasons[events.Blank] != 1 {
			t.Errorf("%s: %d blank, want 1; (-want +got):\n%s", f[0], reasons[events.Blank], diff)
		}
	}
}
