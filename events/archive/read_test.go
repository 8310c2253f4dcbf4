package archive

import (
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
)

// collect gives all events of a sequence.
func collect(t testing.TB, seq iter.Seq2[events.Event, error]) (all []events.Event) {
	t.Helper()
	for ev, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ev)
	}
	return all
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	for name, rows := range map[string]int{"uploads": 500, "streams": 8, "single rows": 1} {
		t.Run(name, func(t *testing.T) {
			s := openDir(t)
			want := collect(t, fleet(2, 150, rows))
			e, err := s.Write(t.Context(), upto(int64(len(want)+5)), fleet(2, 150, rows))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, collect(t, s.Read(t.Context(), e, events.Revision{}))); diff != "" {
				t.Fatalf("events differ (-written +read):\n%s", diff)
			}
		})
	}
}
