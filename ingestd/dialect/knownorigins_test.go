package dialect

import (
	"fmt"
	"sync"
	"testing"
)

func learnGPU(o *Origins, key string) *Origin {
	var s Source
	s.Column(Host, 1, "Hostname", []byte("n1"))
	s.Column(UUID, 1, "uuid", []byte("GPU-a"+key))
	return o.Learn([]byte(key), &s)
}

// Files of one scope share origins; others do not.
func TestFilesOfAScopeShareOrigins(t *testing.T) {
	known := NewKnownOrigins()
	first := learnGPU(NewOrigins(Options{Known: known}, NewIdentities(), "d", "a", "b"), "1")
	for name, c := range map[string]struct {
		opt   Options
		scope []string
		found bool
	}{
		"the same":        {Options{Known: known}, []string{"d", "a", "b"}, true},
		"another header":  {Options{Known: known}, []string{"d", "ab", ""}, false},
		"another dialect": {Options{Known: known}, []string{"e", "a", "b"}, false},
		"a given host":    {Options{Known: known, Host: "n2"}, []string{"d", "a", "b"}, false},
		"no cache":        {Options{}, []string{"d", "a", "b"}, false},
		"no scope":        {Options{Known: known}, nil, false},
	} {
		o := NewOrigins(c.opt, NewIdentities(), c.scope...)
		got := o.Get([]byte("1"))
		if (got != nil) != c.found {
			t.Errorf("%s: got %v, want found %v", name, got, c.found)
		}
		if got == nil {
			continue
		}
		if got.Host != first.Host || got.For(0).Compare(first.For(0)) != 0 || got == first {
			t.Errorf("%s: got %+v, want a copy of %+v", name, got, first)
		}
		if again := o.Get([]byte("1")); again != got {
			t.Errorf("%s: the second look found another origin", name)
		}
	}
}

// A row that cannot be used is not remembered.
func TestFaultyOriginsAreNotShared(t *testing.T) {
	known := NewKnownOrigins()
	var s Source
	s.Column(UUID, 1, "uuid", []byte("GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"))
	if o := NewOrigins(Options{Known: known}, NewIdentities(), "d").Learn([]byte("k"), &s); o.Fault == nil {
		t.Fatal("a row without a host has no fault")
	}
	if NewOrigins(Options{Known: known}, NewIdentities(), "d").Get([]byte("k")) != nil || known.Bytes() != 0 {
		t.Error("an origin with a fault is shared")
	}
}

// The bytes are bounded, and the origins used last are kept.
func TestKnownOriginsAreBounded(t *testing.T) {
	known := NewKnownOrigins()
	known.cache.most = 200 << 10
	for i := range 5000 {
		o := NewOrigins(Options{Known: known}, NewIdentities(), "d")
		if o.Get([]byte("often")) == nil {
			if i > 0 {
				t.Fatalf("after %d others an origin is forgotten that was used between them", i)
			}
			learnGPU(o, "often")
		}
		learnGPU(o, fmt.Sprint(i))
		if bytes := known.Bytes(); bytes > int64(known.cache.most) {
			t.Fatalf("%d bytes are held, more than %d", bytes, known.cache.most)
		}
	}
	sum := 0
	for _, o := range known.cache.by {
		sum += o.size
	}
	if int64(sum) != known.Bytes() || len(known.cache.by) < 20 || len(known.cache.ring) != len(known.cache.by) {
		t.Errorf("%d origins of %d bytes are held, and %d bytes are counted", len(known.cache.by), sum, known.Bytes())
	}
	if NewOrigins(Options{Known: known}, NewIdentities(), "d").Get([]byte("0")) != nil {
		t.Error("the first of many origins is not forgotten")
	}
}

func TestKnownOriginsSideBySide(t *testing.T) {
	known := NewKnownOrigins()
	known.cache.most = 100 << 10
	var files sync.WaitGroup
	for range 8 {
		files.Go(func() {
			for i := range 300 {
				o := NewOrigins(Options{Known: known}, NewIdentities(), "d")
				key := fmt.Sprint(i % 70)
				got := o.Get([]byte(key))
				if got == nil {
					got = learnGPU(o, key)
				}
				if want := "GPU-a" + key; got.For(0).UUID != want {
					t.Errorf("got the origin of %s, want %s", got.For(0).UUID, want)
				}
			}
		})
	}
	files.Wait()
	if known.Hits() == 0 || known.Misses() < 70 {
		t.Errorf("got %d hits and %d misses", known.Hits(), known.Misses())
	}
}
