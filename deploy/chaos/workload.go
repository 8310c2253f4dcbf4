package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// reading names one record: the GPU, the metric and the time. Its value follows from its name, so that whatever sends it says the
// same.
type reading struct {
	gpu    string
	metric string
	at     int64 // Unix, nanoseconds
}

func (r reading) String() string {
	return fmt.Sprintf("%s of %s at %s", r.metric, r.gpu, time.Unix(0, r.at).UTC().Format(time.RFC3339Nano))
}

// absentBlank is the value of a reading that was left blank.
const absentBlank = "absent:blank"

// gauge is a metric of the workload.
type gauge struct {
	name, column string // canonical, and as the wide form names it
	least, most  int
	digits       int // behind the point
}

func gauges() []gauge {
	return []gauge{
		{"DCGM_FI_DEV_GPU_UTIL", "gpu_utilization", 0, 100, 0},
		{"DCGM_FI_DEV_POWER_USAGE", "power_draw", 60, 700, 3},
		{"DCGM_FI_DEV_GPU_TEMP", "temperature", 20, 90, 0},
		{"DCGM_FI_DEV_FB_USED", "memory_used_mb", 0, 80000, 0},
		{"DCGM_FI_DEV_SM_CLOCK", "sm_clock_mhz", 300, 1980, 0},
	}
}

// value is what a gauge of a GPU read at a time; every fiftieth reading is blank.
func (g gauge) value(gpu string, at int64) string {
	h := fnv.New64a()
	fmt.Fprint(h, gpu, g.name, at)
	rng := rand.New(rand.NewPCG(h.Sum64(), 0))
	if rng.IntN(50) == 0 {
		return absentBlank
	}
	whole := strconv.Itoa(g.least + rng.IntN(g.most-g.least))
	if g.digits == 0 {
		return whole
	}
	return whole + "." + fmt.Sprintf("%0*d", g.digits-1, rng.IntN(100)) + strconv.Itoa(1+rng.IntN(9)) // no zero at the end
}

const (
	hosts       = 20
	gpusPerHost = 2
)

func hostName(h int) string { return fmt.Sprintf("rack%d_node-%02d", h/8, h) }

func gpuName(h, g int) string {
	return fmt.Sprintf("GPU-%08x-aaaa-bbbb-cccc-%012x", 7919*(h+1), 104729*(g+1))
}

// scrape is what some hosts told at one time, in one of the two forms.
type scrape struct {
	hosts []int
	at    time.Time
	wide  bool
}

// upload is one file and what is to be done with it.
type upload struct {
	name    string
	kind    string
	content []byte
	rows    []row // in the order of the file
	cutAt   int   // bytes after which the connection breaks at the first attempt; 0 means never
	once    bool  // not sent again after the cut
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

// next makes the next upload: new scrapes, old ones repeated, overlapped, late, or cut off in the middle.
func (w *workload) next() upload {
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
	u.cutAt, u.once = 0, false
	w.past, w.when = keep(w.past, u), keep(w.when, s)
	if w.rng.IntN(6) == 0 {
		u.cutAt = 1 + w.rng.IntN(len(u.content)-1)
		u.once = w.rng.IntN(3) == 0
	}
	return u
}

// keep remembers the last hundred.
func keep[T any](all []T, v T) []T {
	if len(all) >= 100 {
		all = all[1:]
	}
	return append(all, v)
}

const (
	longHeader = "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"
	model      = "NVIDIA H100 80GB HBM3"
)

// file writes scrapes of one form.
func file(kind string, scrapes ...scrape) upload {
	u := upload{kind: kind}
	var b bytes.Buffer
	b.WriteString(longHeader)
	if scrapes[0].wide {
		u.kind += ", wide"
		b.Reset()
		b.WriteString("timestamp,hostname,gpu_id,uuid")
		for _, g := range gauges() {
			b.WriteString("," + g.column)
		}
		b.WriteByte('\n')
	}
	for _, s := range scrapes {
		for _, h := range s.hosts {
			for g := range gpusPerHost {
				u.add(&b, s, h, g)
			}
		}
	}
	u.content = b.Bytes()
	return u
}

// add writes the readings of one GPU.
func (u *upload) add(b *bytes.Buffer, s scrape, h, g int) {
	gpu, stamp := gpuName(h, g), s.at.Format(time.RFC3339)
	wide := row{}
	if s.wide {
		fmt.Fprintf(b, "%s,%s,%d,%s", stamp, hostName(h), g, gpu)
	}
	for _, m := range gauges() {
		r := reading{gpu, m.name, s.at.UnixNano()}
		value := m.value(gpu, r.at)
		text := strings.TrimPrefix(value, absentBlank)
		if s.wide {
			b.WriteString("," + text)
			wide.readings, wide.values = append(wide.readings, r), append(wide.values, value)
			continue
		}
		fmt.Fprintf(b, `%s,%s,%d,nvidia%d,%s,%s,%s,,,,%s,"instance=""%s:9400"",job=""dcgm"""`+"\n", stamp, m.name, g, g, gpu, model, hostName(h), text, hostName(h))
		u.rows = append(u.rows, row{b.Len(), []reading{r}, []string{value}})
	}
	if s.wide {
		b.WriteByte('\n')
		wide.end = b.Len()
		u.rows = append(u.rows, wide)
	}
}

// records counts the readings of a file.
func (u *upload) records() int {
	n := 0
	for _, r := range u.rows {
		n += len(r.readings)
	}
	return n
}
