package daemon

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestPartStatesFollowTheParts(t *testing.T) {
	t.Parallel()
	waiting := errors.New("loading")
	var broken error
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newPartStates([]Part{
		{Name: "intake", Ready: func() error { return nil }},
		{Name: "store", Ready: func() error { return waiting }, Degraded: func() error { return broken }},
		{Name: "front"},
	}))
	for _, test := range []struct {
		change func()
		want   map[string]float64
	}{
		{func() {}, map[string]float64{"ready intake": 1, "ready store": 0, "degraded store": 0}},
		{func() { waiting, broken = nil, errors.New("a file") }, map[string]float64{"ready intake": 1, "ready store": 1, "degraded store": 1}},
	} {
		test.change()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				got[f.GetName()+" "+m.Label[0].GetValue()] = m.Gauge.GetValue()
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
