package pipeline

import (
	"maps"
	"slices"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/bounds"
	"telemetry-pipeline/projections"
)

// A process in a MIG instance is a part of the GPU at the address beside the instance's UUID, in any order of the files, and
// leaves when the next list does not have it.
func TestProcessOfAnInstanceIsAPartOfItsGPU(t *testing.T) {
	const (
		gpu      = "GPU-5fd4f087-86f3-7a43-b711-4771313afc50"
		instance = "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"
	)
	query := "timestamp, uuid, index, pci.bus_id, power.draw [W]\n" +
		"2025/07/18 20:42:34.000, " + gpu + ", 0, 00000000:0F:00.0, 66.78 W\n"
	apps := func(name string) string {
		return "timestamp, " + name + ", gpu_bus_id, pid, process_name, used_gpu_memory [MiB]\n" +
			"2025/07/18 20:42:35.000, " + gpu + ", 00000000:0F:00.0, 10, python3, 100 MiB\n" +
			"2025/07/18 20:42:35.000, " + instance + ", 00000000:0F:00.0, 11, python3, 200 MiB\n" +
			"2025/07/18 20:42:35.000, " + instance + ", 0F:00.0, 12, python3, 300 MiB\n" +
			"2025/07/18 20:42:45.000, " + gpu + ", 0F:00.0, 10, python3, 100 MiB\n" +
			"2025/07/18 20:42:45.000, " + instance + ", 0F:00.0, 12, python3, 300 MiB\n"
	}
	for name, files := range map[string][]string{
		"listed after the GPUs":  {query, apps("gpu_uuid")},
		"listed before the GPUs": {apps("gpu_uuid"), query},
		"listed alone":           {apps("gpu_uuid")},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(bounds.Config{})
			for _, text := range files {
				if rec, err := r.send(t, text, map[string]string{"host": "n1"}); err != nil || rec.Rejected > 0 {
					t.Fatalf("got %d rejected, error %v, %v", rec.Rejected, err, rec.Errors)
				}
			}
			h, err := r.log.Host(t.Context(), "n1")
			if err != nil {
				t.Fatal(err)
			}
			gpus := maps.Collect(h.Fragments(h.Identity.Names("n1")))
			if got := slices.Collect(maps.Keys(gpus)); !slices.Equal(got, []events.GPUID{gpu}) {
				t.Fatalf("got the GPUs %v, want %s alone", got, gpu)
			}
			merged := projections.MergeGPU(gpu, []projections.Fragment{gpus[gpu]})
			var parts []string
			for _, p := range merged[0].Parts {
				parts = append(parts, p.Name+" "+p.Identity.MIG)
			}
			if want := []string{"mig:" + instance + ",pid:12 " + instance, "pid:10 "}; !slices.Equal(parts, want) {
				t.Errorf("got the parts %q, want %q", parts, want)
			}
			if id := merged[0].Identity; id.UUID != gpu || id.MIG != "" {
				t.Errorf("got the GPU's identity %+v, want its own UUID and no instance", id)
			}
		})
	}
}
