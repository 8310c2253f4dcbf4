package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// scrape holds the readings of some hosts at one time, in one of the two forms.
type scrape struct {
	hosts []int
	at    time.Time
	wide  bool
}

// upload is one file and the way to send it.
type upload struct {
	name    string
	kind    string
	content []byte
	rows    []row // in the order of the file
	cutAt   int   // bytes after which the connection breaks at the first attempt; 0 means never
	once    bool  // not sent again after the cut
	async   bool  // to be processed in the background
}

// row is a line of a file: where it ends, and the readings it holds.
type row struct {
	end      int
	readings []reading
	values   []string
}

// workload makes uploads, one after the other, from a seed. Not safe for concurrent use.
type workload struct {
	rng  *rand.Rand
	n    int
	past []upload
	when []scrape // of past, the newest one of each
}

func newWorkload(seed uint64) *workload { return &workload{rng: rand.New(rand.NewPCG(seed, 1000))} }

var firstScrape = time.Date(2025, 7, 18, 20, 0, 0, 0, time.UTC)

// nextUpload makes the next upload: new scrapes, old ones repeated, overlapped, late, or cut off in the middle.
func (w *workload) nextUpload() upload {
	w.n++
	s := scrape{hosts: w.rng.Perm(hosts)[:4+w.rng.IntN(hosts-4)], at: firstScrape.Add(time.Duration(w.n) * time.Second), wide: w.rng.IntN(5) == 0}
	var u upload
	switch dice := w.rng.IntN(20); {
	case dice < 2 && len(w.past) > 0:
		u = w.past[w.rng.IntN(len(w.past))]
		u.kind = "repeated"
	case dice < 5 && len(w.when) > 0:
		old := w.when[w.rng.IntN(len(w.when))]
		old.hosts = old.hosts[:(len(old.hosts)+1)/2]
		s.wide = old.wide
		u = file("overlapping", old, s)
	case dice < 7:
		s.at = s.at.Add(-time.Duration(1+w.rng.IntN(300*24)) * time.Hour)
		u = file("late", s)
	default:
		u = file("new", s)
	}
	u.name = fmt.Sprintf("%05d-%s.csv", w.n, u.kind)
	u.cutAt, u.once, u.async = 0, false, false
	w.past, w.when = keepFile(w.past, u), keepFile(w.when, s)
	if w.rng.IntN(6) == 0 {
		u.cutAt = 1 + w.rng.IntN(len(u.content)-1)
		u.once = w.rng.IntN(3) == 0
	} else {
		u.async = w.rng.IntN(6) == 0
	}
	return u
}

// keepFile remembers the last hundred.
func keepFile[T any](all []T, v T) []T {
	if len(all) >= 100 {
		all = all[1:]
	}
	return append(all, v)
}
