package projections

import (
	"fmt"
	"testing"

	"telemetry-pipeline/events"
)

// podHour returns an hour of a host of 8 GPUs where a new pod takes each GPU every minute. In odd hours the GPUs with odd
// indices have none.
func podHour(host events.HostID, w Window) *events.Event {
	const minute = events.Timestamp(60_000_000_000)
	ev := &events.Event{Host: host, AppendedAt: (w + 1).Start()}
	for i := range 60 {
		at := w.Start() + events.Timestamp(i)*minute
		for gpu := range 8 {
			id := events.Identity{
				UUID: fmt.Sprintf("GPU-5fd4f087-86f3-7a43-b711-00000000000%d", gpu), Index: fmt.Sprint(gpu), PCI: fmt.Sprintf("00000000:%02x:00.0", 7+gpu),
				Device: fmt.Sprint("nvidia", gpu), Model: "NVIDIA H100 80GB HBM3", Driver: "535.129.03",
				Labels: []events.Label{{Name: "instance", Value: string(host) + ":9400"}, {Name: "job", Value: "dcgm"}},
			}
			if w%2 == 0 || gpu%2 == 0 {
				id.Pod, id.Namespace, id.Container = fmt.Sprintf("train-%d-%02d-%d", w, i, gpu), "ml", "main"
			} else {
				id.Labels = nil
			}
			ev.Identities = append(ev.Identities, id)
			c := events.Column{Metric: "DCGM_FI_DEV_POWER_USAGE", Source: "DCGM_FI_DEV_POWER_USAGE", Identity: len(ev.Identities) - 1}
			c.Add(at, events.Value{Number: events.Int(int64(100 + (i*31+gpu*7)%500))})
			c.Canonical()
			ev.Columns = append(ev.Columns, c)
		}
	}
	return ev
}

// The models of a host live for years at a pod per GPU and minute: its live model stays as it is, and its identity grows by
// no more than the hours without a workload take.
func TestAPodPerGPUAndMinute(t *testing.T) {
	const day, weeks, most = 24, 4, 256 << 10
	from := Window(486_000)
	var h Host
	var liveBytes, identityBytes []int // by week
	for n := range Window(weeks * 7 * day) {
		effect := h.Apply(podHour("node-1", from+n))
		if effect.Refused.Records > 0 {
			t.Fatalf("hour %d: %+v", n, effect.Refused)
		}
		if (n+1)%(7*day) == 0 {
			liveBytes, identityBytes = append(liveBytes, len(AppendLive(nil, &h.Live))), append(identityBytes, len(AppendIdentity(nil, &h.Identity)))
		}
	}
	first, last := 0, weeks-1
	if liveBytes[last] > liveBytes[first]+8 { // times are varints
		t.Errorf("live models of %v bytes grow", liveBytes)
	}
	perWeek := float64(identityBytes[last]-identityBytes[first]) / float64(last-first)
	if year := float64(identityBytes[first]) + 51*perWeek; year > most {
		t.Errorf("identity models of %v bytes would be %.0f bytes after a year, at most %d", identityBytes, year, most)
	}
	if err := h.Check(); err != nil {
		t.Error(err)
	}
	t.Logf("live %v bytes, identity %v bytes by week", liveBytes, identityBytes)
}
