package rows_test

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/ingestd/rows"
)

// TestLive writes a text piece by piece and wants each row as soon as its end is there: the pipe takes a
// piece only when the scanner reads, and the next one is written only when the rows before it are out.
func TestLive(t *testing.T) {
	r, w := io.Pipe()
	s := rows.NewScanner(r, rows.Options{Live: true})
	write := func(text string) {
		go func() {
			if _, err := w.Write([]byte(text)); err != nil {
				t.Error(err)
			}
		}()
	}
	write("\n\ntime,v\n1,")
	head, err := s.Peek(1 << 16)
	if want := "\n\ntime,v\n"; string(head) != want || err != nil {
		t.Fatalf("got head %q, error %v, want %q", head, err, want)
	}
	if _, ok, err := s.Header(func([][]byte) bool { return true }); !ok || err != nil {
		t.Fatalf("got header %v, error %v", ok, err)
	}
	for _, step := range []struct {
		text string
		want []copied
	}{
		{"2\n3,4\r", []copied{{4, 3, []string{"1", "2"}, ""}}},
		{"\n\"5\n", []copied{{5, 3, []string{"3", "4"}, ""}}},
		{"\",6\n7", []copied{{6, 6, []string{"5\n", "6"}, ""}}},
	} {
		write(step.text)
		var b rows.Batch
		if err := s.Next(&b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, copyRows(&b)); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", step.text, diff)
		}
	}
	go func() { w.CloseWithError(io.EOF) }()
	want := []copied{{8, 1, []string{"7"}, ""}}
	if diff := cmp.Diff(want, readRest(t, s)); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
}

func copyRows(b *rows.Batch) (got []copied) {
	for row := range b.Rows() {
		got = append(got, copyRow(row))
	}
	return got
}

// readRest returns the rows up to the end of the text.
func readRest(t *testing.T, s *rows.Scanner) (got []copied) {
	t.Helper()
	for {
		var b rows.Batch
		if err := s.Next(&b); err == io.EOF {
			return got
		} else if err != nil {
			t.Fatal(err)
		}
		got = append(got, copyRows(&b)...)
	}
}
