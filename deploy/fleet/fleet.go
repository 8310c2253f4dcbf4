package fleet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// Fleet is a simulated set of GPU hosts. Each file that it writes continues where the last one ended. Not safe
// for concurrent use.
type Fleet struct {
	rng  *rand.Rand
	gpus []*gpu
}

// gpu is one simulated device. Its physical state moves towards the state of its load.
type gpu struct {
	host    string
	index   int
	uuid    string
	busy    bool
	load    float64 // 0–1, the load of its job
	tempC   float64
	usedMiB int
	powerW  float64
	smMHz   int
	labels  string // in an exporter's output
}

// GPUsPerHost is how many GPUs a host has; the last host may have fewer.
const GPUsPerHost = 8

const (
	hostPrefix    = "demo-dgx"
	capacityMiB   = 81007
	idleMHz       = 345
	boostMHz      = 1980
	memoryMHz     = 2619
	fleetModel    = "NVIDIA H100 80GB HBM3"
	fleetDriver   = "535.129.03"
	fleetJob      = "dgx_dcgm_exporter"
	exporterPort  = 9400
	startsPerStep = 0.01 // chance that an idle GPU gets a job in a step
	endsPerStep   = 0.005
)

// New makes a fleet of so many GPUs.
func New(gpus int, seed uint64) *Fleet { return NewNamed(hostPrefix, gpus, seed) }

// NewNamed makes a fleet whose hosts have names that begin with a prefix, so that two fleets have no host in common.
func NewNamed(prefix string, gpus int, seed uint64) *Fleet {
	f := &Fleet{rng: rand.New(rand.NewPCG(seed, seed))}
	for i := range gpus {
		g := &gpu{
			host: fmt.Sprintf("%s-%02d", prefix, i/GPUsPerHost+1), index: i % GPUsPerHost, uuid: f.uuidOf(),
			tempC: 30, smMHz: idleMHz, powerW: 70,
		}
		g.busy = f.rng.Float64() < 0.6
		g.labels = fmt.Sprintf(`{gpu="%d",UUID="%s",device="nvidia%d",modelName="%s",Hostname="%s",DCGM_FI_DRIVER_VERSION="%s"} `,
			g.index, g.uuid, g.index, fleetModel, g.host, fleetDriver)
		f.gpus = append(f.gpus, g)
	}
	return f
}

func (f *Fleet) uuidOf() string {
	return fmt.Sprintf("GPU-%08x-%04x-%04x-%04x-%012x",
		f.rng.Uint32(), f.rng.Uint32()&0xffff, f.rng.Uint32()&0xffff, f.rng.Uint32()&0xffff, f.rng.Uint64()&0xffffffffffff)
}

// stepAll moves every GPU on by one sample.
func (f *Fleet) stepAll() {
	for _, g := range f.gpus {
		f.nextJob(g)
		g.moveValues(f.rng)
	}
}

func (f *Fleet) nextJob(g *gpu) {
	if g.busy && f.rng.Float64() < endsPerStep {
		g.busy, g.usedMiB = false, 4
	} else if !g.busy && f.rng.Float64() < startsPerStep {
		g.busy = true
	}
	if g.busy && g.usedMiB < 1000 {
		g.usedMiB = 20_000 + f.rng.IntN(55_000)
	}
	g.usedMiB = max(g.usedMiB, 4)
}

func (g *gpu) moveValues(rng *rand.Rand) {
	g.load, g.smMHz = 0, idleMHz
	if g.busy {
		g.load = min(1, 0.85+0.15*math.Abs(rng.NormFloat64()))
		g.smMHz = boostMHz - 15*rng.IntN(2)
	}
	g.powerW += (70+580*g.load-g.powerW)*0.5 + 0.4*rng.NormFloat64()
	g.tempC += (28 + 0.062*g.powerW - g.tempC) * 0.2
}

// MetricNames are the names of the readings, in the order of files in the long form.
func MetricNames() []string {
	return []string{
		"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_GPU_TEMP",
		"DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_DEC_UTIL", "DCGM_FI_DEV_ENC_UTIL",
		"DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK",
	}
}

func (g *gpu) readMetric(metric string) string {
	switch metric {
	case "DCGM_FI_DEV_GPU_UTIL":
		return strconv.Itoa(int(100 * g.load))
	case "DCGM_FI_DEV_MEM_COPY_UTIL":
		return strconv.Itoa(int(45 * g.load))
	case "DCGM_FI_DEV_POWER_USAGE":
		return strconv.FormatFloat(g.powerW, 'f', 3, 64)
	case "DCGM_FI_DEV_GPU_TEMP":
		return strconv.Itoa(int(g.tempC))
	case "DCGM_FI_DEV_FB_USED":
		return strconv.Itoa(g.usedMiB)
	case "DCGM_FI_DEV_FB_FREE":
		return strconv.Itoa(capacityMiB - g.usedMiB)
	case "DCGM_FI_DEV_SM_CLOCK":
		return strconv.Itoa(g.smMHz)
	case "DCGM_FI_DEV_MEM_CLOCK":
		return strconv.Itoa(memoryMHz)
	}
	return "0" // encoder and decoder: no job here uses them
}

// GPU names one simulated device.
type GPU struct {
	Host  string
	Index int
	UUID  string
}

// GPU returns the names of the i-th device, counted round and round.
func (f *Fleet) GPU(i int) GPU {
	g := f.gpus[i%len(f.gpus)]
	return GPU{g.host, g.index, g.uuid}
}
