package eventlog_test

import (
	"slices"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/events/eventstest"
)

func TestUnreadNamesThePartitionsWithEventsBehindAPosition(t *testing.T) {
	log := eventstest.OpenLog(t, eventstest.Config(t))
	count := log.Facts().Partitions
	three, five := eventstest.HostsOf(3, count, 1)[0], eventstest.HostsOf(5, count, 1)[0]
	first := appendOne(t, log, three)
	second := appendOne(t, log, five)
	start := map[events.Partition]events.Revision{}
	for p := range count {
		start[events.Partition(p)] = events.Revision{}
	}
	cases := []struct {
		name  string
		after map[events.Partition]events.Revision
		upto  events.Revision
		want  []events.Partition
	}{
		{"from the beginning", start, second, []events.Partition{3, 5}},
		{"up to the first", start, first, []events.Partition{3}},
		{"behind the first", map[events.Partition]events.Revision{3: first, 5: first}, second, []events.Partition{5}},
		{"nothing left", map[events.Partition]events.Revision{3: first, 5: second, 7: {}}, second, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := log.UnreadPartitions(t.Context(), c.after, c.upto)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func appendOne(t *testing.T, log *eventlog.Log, host events.HostID) events.Revision {
	t.Helper()
	got, err := log.Append(t.Context(), eventstest.Events(host, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	return got[0].Revision
}
