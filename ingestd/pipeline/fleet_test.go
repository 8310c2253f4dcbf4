package pipeline

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// The fleet's time: fleetTicks samples, fleetStep apart. A file holds filesTicks of them.
const (
	fleetTicks = 14 * fileTicks
	fileTicks  = 5
	fleetStep  = 12 * time.Minute
	bareHost   = "bare" // no record has a UUID of its GPUs
)

var fleetStart = time.Date(2025, 7, 18, 20, 3, 0, 0, time.UTC)

// fleet is the truth of a few hosts, and the files that monitors wrote of it.
type fleet struct {
	rng    *rand.Rand
	hosts  []string
	stages map[string][]stage // by host
	files  []monitorFile
	rows   map[truthRow]bool
	power  map[events.GPUID]truthRow // the newest reading
}

// stage is a host from a tick on: its GPUs in order of their index.
type stage struct {
	from int
	gpus []installed
}

// installed is a GPU in a slot.
type installed struct {
	id  events.GPUID
	pci string
}

// truthRow is a reading of a GPU.
type truthRow struct {
	gpu    events.GPUID
	at     events.Timestamp
	metric string
	value  string
}

// monitorFile is a file with the parameters of its upload.
type monitorFile struct {
	text    string
	query   map[string]string
	records int
}

// newFleet makes a fleet. Its changes are two to three hours apart: a GPU that loses an index may have it again, but not before a
// whole window has passed, because the names of GPUs are known by window.
func newFleet(seed uint64) *fleet {
	f := &fleet{
		rng: rand.New(rand.NewPCG(seed, 0)), hosts: []string{"n1", "n2", "n3", bareHost},
		stages: map[string][]stage{}, rows: map[truthRow]bool{}, power: map[events.GPUID]truthRow{},
	}
	for h, host := range f.hosts {
		s := stage{}
		for i := range 2 + f.rng.IntN(2) {
			id := events.GPUID(fmt.Sprintf("GPU-%d%d", h+1, i))
			if host == bareHost {
				id = events.GPUID(fmt.Sprintf("%s:%d", host, i))
			}
			s.gpus = append(s.gpus, installed{id, slotAddress(i)})
		}
		f.stages[host] = []stage{s}
	}
	for tick := 12 + f.rng.IntN(8); tick < fleetTicks-5; tick += 10 + f.rng.IntN(5) {
		f.change(tick)
	}
	for _, host := range f.hosts {
		f.writeFiles(host)
	}
	return f
}

func slotAddress(slot int) string { return fmt.Sprintf("00000000:%02x:00.0", 0x0f+slot) }

// change changes a fleet at a tick: on each host GPUs may be exchanged between slots, or a reboot may change the order of
// their indices; and a GPU may move to another host.
func (f *fleet) change(tick int) {
	now := map[string][]installed{}
	for _, host := range f.hosts[:3] {
		gpus := slices.Clone(f.gpusAt(host, tick))
		if i, j := f.rng.IntN(len(gpus)+1), f.rng.IntN(len(gpus)+1); max(i, j) < len(gpus) {
			gpus[i].id, gpus[j].id = gpus[j].id, gpus[i].id
		}
		if f.rng.IntN(2) == 0 {
			f.rng.Shuffle(len(gpus), func(i, j int) { gpus[i], gpus[j] = gpus[j], gpus[i] })
		}
		now[host] = gpus
	}
	from, to := f.hosts[f.rng.IntN(3)], f.hosts[f.rng.IntN(3)]
	if from != to && len(now[from]) > 1 {
		i := f.rng.IntN(len(now[from]))
		moved := now[from][i]
		now[from] = slices.Delete(now[from], i, i+1)
		for slot := 0; slices.ContainsFunc(now[to], func(g installed) bool { return g.pci == moved.pci }); slot++ {
			moved.pci = slotAddress(slot)
		}
		now[to] = slices.Insert(now[to], f.rng.IntN(len(now[to])+1), moved)
	}
	for host, gpus := range now {
		f.stages[host] = append(f.stages[host], stage{tick, gpus})
	}
}

func (f *fleet) gpusAt(host string, tick int) (gpus []installed) {
	for _, s := range f.stages[host] {
		if s.from <= tick {
			gpus = s.gpus
		}
	}
	return gpus
}

// changesWithin reports whether a host changes in a file's ticks.
func (f *fleet) changesWithin(host string, first int) bool {
	return slices.ContainsFunc(f.stages[host][1:], func(s stage) bool { return first <= s.from && s.from < first+fileTicks })
}

// writeFiles writes the files of one host's monitors. Some are missing; an exporter is there where the host changes.
func (f *fleet) writeFiles(host string) {
	columns := []string{"index, uuid, pci.bus_id, name", "uuid", "pci.bus_id", "index, pci.bus_id"}[f.rng.IntN(4)]
	if host == bareHost {
		columns = "index, pci.bus_id"
	}
	exporterFrom := 0
	if f.rng.IntN(3) == 0 {
		exporterFrom = 2 * fileTicks
	}
	for first := 0; first < fleetTicks; first += fileTicks {
		present := func() bool { return f.rng.IntN(5) > 0 }
		if host != bareHost && (f.changesWithin(host, first) || first >= exporterFrom && present() || first == exporterFrom) {
			f.writeScrapes(host, first)
		}
		if present() {
			f.writeQueryLog(host, first, columns, 1*time.Second)
		}
		if present() {
			f.writeQueryLog(host, first, "pci.bus_id", 2*time.Second)
		}
		if present() {
			f.writeDmonLog(host, first)
		}
		if present() {
			f.writeDCGMLog(host, first)
		}
	}
}

// reading is what a monitor sees of a GPU.
type reading struct {
	installed
	index                   int
	at                      time.Time
	power, temperature, use string
}

// eachReading calls do for each GPU of a host at each tick of a file, and notes the readings as true.
func (f *fleet) eachReading(m *monitorFile, host string, first int, offset time.Duration, wholeWatts bool, do func(reading)) {
	for tick := first; tick < first+fileTicks; tick++ {
		at := fleetStart.Add(time.Duration(tick)*fleetStep + offset)
		for index, g := range f.gpusAt(host, tick) {
			watts := 50 + f.rng.IntN(650)
			r := reading{installed: g, index: index, at: at, power: fmt.Sprint(watts), temperature: fmt.Sprint(30 + f.rng.IntN(50)), use: fmt.Sprint(f.rng.IntN(101))}
			if !wholeWatts {
				r.power = fmt.Sprintf("%d.%03d", watts, f.rng.IntN(1000))
			}
			for metric, value := range map[string]string{"DCGM_FI_DEV_POWER_USAGE": r.power, "DCGM_FI_DEV_GPU_TEMP": r.temperature, "DCGM_FI_DEV_GPU_UTIL": r.use} {
				f.noteTruth(g.id, at, metric, value)
				m.records++
			}
			do(r)
		}
	}
	f.files = append(f.files, *m)
}

func (f *fleet) noteTruth(gpu events.GPUID, at time.Time, metric, value string) {
	number, err := events.ParseNumber(value)
	if err != nil {
		panic(err)
	}
	row := truthRow{gpu, events.TimestampOf(at), metric, number.String()}
	f.rows[row] = true
	if metric == "DCGM_FI_DEV_POWER_USAGE" && f.power[gpu].at <= row.at {
		f.power[gpu] = row
	}
}

// writeScrapes writes answers of dcgm-exporter with their times.
func (f *fleet) writeScrapes(host string, first int) {
	var m monitorFile
	var b strings.Builder
	f.eachReading(&m, host, first, 0, false, func(r reading) {
		labels := fmt.Sprintf(`{gpu="%d",UUID="%s",pci_bus_id="%s",device="nvidia%d",modelName="NVIDIA H100 80GB HBM3",Hostname="%s",pod="train-%d"}`,
			r.index, r.id, strings.ToUpper(r.pci), r.index, host, r.at.Hour()/3)
		for _, sample := range [][2]string{{"POWER_USAGE", r.power}, {"GPU_TEMP", r.temperature}, {"GPU_UTIL", r.use}} {
			fmt.Fprintf(&b, "DCGM_FI_DEV_%s%s %s %d\n", sample[0], labels, sample[1], r.at.UnixMilli())
		}
	})
	f.finishFile(b.String(), nil)
}

// finishFile sets the text of the file that eachReading has added.
func (f *fleet) finishFile(text string, query map[string]string) {
	m := &f.files[len(f.files)-1]
	m.text, m.query = text, query
}

// writeQueryLog writes the output of nvidia-smi --query-gpu with columns that identify a GPU.
func (f *fleet) writeQueryLog(host string, first int, columns string, offset time.Duration) {
	var m monitorFile
	var b strings.Builder
	fmt.Fprintf(&b, "timestamp, %s, power.draw [W], temperature.gpu, utilization.gpu [%%]\n", columns)
	f.eachReading(&m, host, first, offset, false, func(r reading) {
		names := strings.NewReplacer("index", fmt.Sprint(r.index), "uuid", string(r.id), "pci.bus_id", strings.ToUpper(r.pci), "name", "NVIDIA H100 80GB HBM3").Replace(columns)
		fmt.Fprintf(&b, "%s, %s, %s W, %s, %s %%\n", r.at.Format("2006/01/02 15:04:05.000"), names, r.power, r.temperature, r.use)
	})
	f.finishFile(b.String(), map[string]string{"host": host})
}

// writeDmonLog writes the output of nvidia-smi dmon -o DT.
func (f *fleet) writeDmonLog(host string, first int) {
	var m monitorFile
	b := strings.Builder{}
	b.WriteString("#Date       Time        gpu    pwr  gtemp     sm\n#YYYYMMDD   HH:MM:SS    Idx      W      C      %\n")
	f.eachReading(&m, host, first, 3*time.Second, true, func(r reading) {
		fmt.Fprintf(&b, " %s   %s  %5d  %5s  %5s  %5s\n", r.at.Format("20060102"), r.at.Format("15:04:05"), r.index, r.power, r.temperature, r.use)
	})
	f.finishFile(b.String(), map[string]string{"host": host})
}

// writeDCGMLog writes the output of dcgmi dmon.
func (f *fleet) writeDCGMLog(host string, first int) {
	const line = "%-10s %-12s %-12s %-12s \n"
	var m monitorFile
	var b strings.Builder
	fmt.Fprintf(&b, line, "#Entity", "POWER", "TMPTR", "GPUTL")
	fmt.Fprintf(&b, line, "ID", "W", "C", "")
	const offset = 4 * time.Second
	f.eachReading(&m, host, first, offset, false, func(r reading) {
		fmt.Fprintf(&b, line, fmt.Sprint("GPU ", r.index), r.power, r.temperature, r.use)
	})
	f.finishFile(b.String(), map[string]string{
		"host": host, "interval": fleetStep.String(),
		"start": fleetStart.Add(time.Duration(first)*fleetStep + offset).Format(time.RFC3339),
	})
}

// place is where a GPU is.
type place struct{ host, index, pci string }

// currentGPUs returns the place of each GPU at the end.
func (f *fleet) currentGPUs() map[events.GPUID]place {
	all := map[events.GPUID]place{}
	for _, host := range f.hosts {
		for index, g := range f.gpusAt(host, fleetTicks) {
			all[g.id] = place{host, fmt.Sprint(index), g.pci}
		}
	}
	return all
}

// fleetRecord is a record of the fleet's files as the log has it.
type fleetRecord struct {
	events.Record
	host     events.HostID
	appended events.Timestamp
}

// readFiles takes the files in and returns the records of the events that they become. Some files are sent twice, and their records
// appended twice, as they are where an event is cut otherwise.
func (f *fleet) readFiles(t *testing.T) (records []fleetRecord) {
	t.Helper()
	end := events.TimestampOf(fleetStart.Add((fleetTicks + 1) * fleetStep))
	for n, file := range f.files {
		log := pipelinetest.NewRecorder()
		receipt, err := processFile(t, log, 1, file.query, strings.NewReader(file.text))
		if err != nil || receipt.Rejected > 0 || receipt.Accepted != int64(file.records) {
			t.Fatalf("got %+v, %v; want %d records of\n%s", receipt, err, file.records, file.text)
		}
		appended := end + events.Timestamp(n%3)*events.Timestamp(time.Hour)
		stored := log.StoredEvents(t)
		for _, key := range slices.Sorted(maps.Keys(stored)) {
			e := stored[key]
			records = appendRecords(records, &e, appended)
			if n%5 == 0 {
				records = appendRecords(records, &e, appended+1)
			}
		}
	}
	return records
}

// appendRecords appends the records of an event.
func appendRecords(records []fleetRecord, e *events.Event, appended events.Timestamp) []fleetRecord {
	for _, c := range e.Columns {
		for at, v := range c.All() {
			r := events.Record{Identity: &e.Identities[c.Identity], Metric: c.Metric, Source: c.Source, At: at, Value: v, Text: v.Number.Append(nil)}
			records = append(records, fleetRecord{r, e.Host, appended})
		}
	}
	return records
}
