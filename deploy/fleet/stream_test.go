package fleet

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestUploadsOfAStreamDoNotDependOnTheirOrder(t *testing.T) {
	t.Parallel()
	newStream := func() *Stream {
		return NewStream(New(5*GPUsPerHost, 1), StreamConfig{HostsPerUpload: 2, Every: time.Second, Began: at, Step: time.Minute})
	}
	forth, back := newStream(), newStream()
	if forth.Senders() != 3 || forth.Pause() != time.Second/3 || forth.Uploads(10*time.Second) != 30 || forth.Uploads(0) != 3 {
		t.Errorf("%d senders, a pause of %s, %d uploads in 10 s, %d at least", forth.Senders(), forth.Pause(), forth.Uploads(10*time.Second), forth.Uploads(0))
	}
	var texts [6][]byte
	for n := range texts {
		texts[n] = forth.AppendUpload(nil, int64(n))
	}
	for n := len(texts) - 1; n >= 0; n-- {
		if got := back.AppendUpload(nil, int64(n)); !bytes.Equal(got, texts[n]) {
			t.Errorf("upload %d differs when later ones are made before it", n)
		}
	}
	samples := 2 * GPUsPerHost * len(MetricNames())
	for n, want := range []int{samples, samples, samples / 2} {
		if got := bytes.Count(texts[n], []byte("} ")); got != want {
			t.Errorf("upload %d has %d samples, want %d", n, got, want)
		}
	}
	if want := " " + strconv.FormatInt(at.Add(time.Minute).UnixMilli(), 10) + "\n"; !strings.HasSuffix(string(texts[3]), want) {
		t.Errorf("the second upload of a sender does not end in %q", want)
	}
}
