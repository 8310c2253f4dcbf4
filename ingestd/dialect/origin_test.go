package dialect_test

import (
	"sync"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/metric"
	"telemetry-pipeline/ingestd/dialect"
)

func TestOriginsShareIdentities(t *testing.T) {
	table := dialect.NewIdentities()
	found := make([]*events.Identity, 8)
	var workers sync.WaitGroup
	for i := range found {
		workers.Go(func() {
			origins := dialect.NewOrigins(dialect.Options{}, table)
			var s dialect.Source
			for range 50 {
				s.Reset()
				s.Column(dialect.Host, 1, "host", []byte("n1"))
				s.Column(dialect.UUID, 1, "uuid", []byte("GPU-1"))
				s.Labels([]byte(`GPU_I_ID="3",job="dcgm"`))
				found[i] = origins.Learn([]byte("key"), &s).For(metric.PerInstance)
			}
			if got := origins.Get([]byte("key")).For(metric.PerInstance); got != found[i] {
				t.Errorf("got %p from memory, want %p", got, found[i])
			}
		})
	}
	workers.Wait()
	for _, id := range found {
		if id != found[0] || id.Part != "mig:3" {
			t.Errorf("got identity %p of part %q, want %p and mig:3", id, id.Part, found[0])
		}
	}
}

func TestHostOrder(t *testing.T) {
	type namedBy struct{ column, label, instance string }
	for test, want := range map[namedBy]string{
		{"n1", "n2", "n3:9400"}:                "n1",
		{"", "n2", "n3:9400"}:                  "n2",
		{"", "", "n3:9400"}:                    "n3",
		{"", "", "n3"}:                         "n3",
		{"", "", "[2001:db8::1]:9400"}:         "2001:db8::1",
		{"localhost", "127.0.0.1", "n3:9400"}:  "n3",
		{"localhost", "LOCALHOST", "[::1]:94"}: "given",
		{"", "", ""}:                           "given",
		{"N/A", "", ""}:                        "given",
	} {
		var s dialect.Source
		s.Column(dialect.Host, 1, "host", []byte(test.column))
		s.Column(dialect.Index, 1, "gpu", []byte("0"))
		s.Labels(dialect.AppendLabels(nil, []events.Label{{Name: "Hostname", Value: test.label}, {Name: "instance", Value: test.instance}}))
		o := dialect.NewOrigins(dialect.Options{Host: "given"}, dialect.NewIdentities()).Learn(nil, &s)
		if got := string(o.Host); got != want || o.Fault != nil {
			t.Errorf("%+v: got host %q, fault %v; want %q", test, got, o.Fault, want)
		}
	}
}

func TestOriginRefuses(t *testing.T) {
	for name, cells := range map[string]map[dialect.Field]string{
		"control characters in the host": {dialect.Host: "n\x01", dialect.Index: "0"},
		"invalid UTF-8 in the UUID":      {dialect.Host: "n1", dialect.UUID: "GPU-\xff"},
		"an index that is no number":     {dialect.Host: "n1", dialect.Index: "one"},
		"a masked UUID and nothing else": {dialect.Host: "n1", dialect.UUID: "GPU-00000000-0000-0000-0000-000000000000"},
		"an overlong pod":                {dialect.Host: "n1", dialect.Index: "0", dialect.Pod: string(make([]byte, 300))},
	} {
		var s dialect.Source
		for field, cell := range cells {
			s.Column(field, 1, "column", []byte(cell))
		}
		if o := dialect.NewOrigins(dialect.Options{}, dialect.NewIdentities()).Learn(nil, &s); o.Fault == nil {
			t.Errorf("%s: got %+v, want a fault", name, o)
		}
	}
}

func TestFieldOf(t *testing.T) {
	for name, want := range map[string]dialect.Field{
		"timestamp": dialect.Time, " TS ": dialect.Time, "__name__": dialect.Metric, "__value__": dialect.Value,
		"Hostname": dialect.Host, "kubernetes_node": dialect.Host, "exported_hostname": dialect.Host,
		"gpu": dialect.Index, "minor_number": dialect.Index, "GPU_UUID": dialect.UUID, "modelName": dialect.Model,
		"pci.bus_id": dialect.PCI, "DCGM_FI_SYSTEM_DRIVER_VERSION": dialect.Driver, "exported_pod": dialect.Pod, "GPU_I_ID": dialect.MIG,
		"exported_job": dialect.Label, "instance": dialect.Label, "name": dialect.Label, "": dialect.Label,
	} {
		if got, _ := dialect.FieldOf(name); got != want {
			t.Errorf("FieldOf(%q): got %d, want %d", name, got, want)
		}
	}
}
