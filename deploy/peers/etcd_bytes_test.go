package main

import "testing"

func TestKindOfAKey(t *testing.T) {
	t.Parallel()
	var s etcdBytes
	for key, want := range map[string]*int64{
		"/telemetry/queue/default-cluster/036/0000":                             &s.log,
		"/telemetry/projections/default-cluster/g1/series/036/20250718T20/n7/0": &s.series,
		"/telemetry/projections/default-cluster/g1/live/036/n7":                 &s.models,
		"/telemetry/projections/default-cluster/g1/identity/036/series":         &s.models,
		"/telemetry/offsets/default-cluster/g1/036":                             &s.rest,
		"/telemetry/queue-facts":                                                &s.rest,
	} {
		if got := s.kindOf(key); got != want {
			t.Errorf("%s is counted elsewhere", key)
		}
	}
}
