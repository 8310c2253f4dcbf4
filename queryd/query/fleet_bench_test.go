package query

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live/livetest"
)

// fleetStore is a store in memory with a fleet that reports.
type fleetStore struct {
	noHistory
	*livetest.Source
	fleet *livetest.Fleet
	hosts int
	base  time.Time
}

// noHistory is the rest of a store: of empty, below the methods that Source has too.
type noHistory struct{ empty }

const fleetGeneration projections.Generation = "g"

// fleetMetrics are the metrics of each GPU.
var fleetMetrics = [...]string{
	"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_GPU_TEMP",
	"DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK", "DCGM_FI_DEV_ENC_UTIL", "DCGM_FI_DEV_DEC_UTIL",
}

// newFleetStore returns a fleet of hosts with eight GPUs and ten metrics each.
func newFleetStore(hosts int) *fleetStore {
	f := &fleetStore{Source: livetest.New(facts), fleet: livetest.NewFleet(facts), hosts: hosts, base: time.Now()}
	all := make([]projections.Stored, hosts)
	for h := range all {
		all[h] = f.report(h, f.base)
	}
	f.Store(fleetGeneration, all...)
	f.Activate(fleetGeneration)
	return f
}

func (*fleetStore) hostName(host int) events.HostID {
	return events.HostID(fmt.Sprintf("gpu-node-%05d", host))
}

func (*fleetStore) uuid(host, gpu int) string {
	return fmt.Sprintf("GPU-5fd4f087-86f3-7a43-b711-%08d%04d", host, gpu)
}

const (
	fleetModel  = "NVIDIA H100 80GB HBM3"
	fleetDriver = "535.129.03"
)

func fleetLabels() []events.Label {
	return []events.Label{{Name: "instance", Value: "host:9400"}, {Name: "job", Value: "dcgm"}}
}

// report returns a host with new readings.
func (f *fleetStore) report(host int, at time.Time) projections.Stored {
	var all []livetest.Reading
	for g := range 8 {
		for m, metric := range fleetMetrics {
			all = append(all, livetest.Reading{
				Host: f.hostName(host), UUID: f.uuid(host, g), Index: g, Model: fleetModel, Driver: fleetDriver, Labels: fleetLabels(),
				Metric: metric, At: events.TimestampOf(at), Value: int64(host+g+m+at.Second())%90*10 + 1, Exponent: -1,
			})
		}
	}
	return f.fleet.Report(all...)
}

// serve starts a server of the fleet.
func (f *fleetStore) serve(b *testing.B) (base string) {
	b.Helper()
	s, err := New(Config{Host: "127.0.0.1", Port: FreePort}, f, eventless{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	base, _ = startServer(b, s)
	return base
}

// BenchmarkFleet asks a server over HTTP for its whole fleet.
func BenchmarkFleet(b *testing.B) {
	for _, gpus := range []int{10_000, 50_000} {
		base := newFleetStore(gpus / 8).serve(b)
		graphql := func(query string) string { return "/graphql?" + url.Values{"query": {query}}.Encode() }
		for _, c := range []struct{ name, path string }{
			{"cluster", "/api/v1/cluster"},
			{"cluster by GraphQL", graphql(`{cluster {hostCount gpuCount active stale missing powerDraw temperatureMax models}}`)},
			{"GPUs", "/api/v1/gpus"},
			{"GPUs by GraphQL", graphql(`{gpus {id host status lastSeen metrics}}`)},
			{"GPUs by GraphQL in full", graphql(`{gpus {id host hosts uuid gpuId modelName driverVersion status firstSeen lastSeen labels metrics metricTimes powerDraw temperature gpuUtilization}}`)},
		} {
			b.Run(fmt.Sprintf("%d/%s", gpus, c.name), func(b *testing.B) {
				b.ReportAllocs()
				var client fasthttp.Client
				var body []byte
				for b.Loop() {
					status, text, err := client.Get(body[:0], base+c.path)
					if err != nil || status != fasthttp.StatusOK {
						b.Fatalf("%d, %v", status, err)
					}
					body = text
					b.SetBytes(int64(len(text)))
				}
			})
		}
	}
}

// BenchmarkCompressedFleet asks a server for 10,000 GPUs in each coding.
func BenchmarkCompressedFleet(b *testing.B) {
	base := newFleetStore(1250).serve(b)
	for _, coding := range []string{"identity", "gzip", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			var client fasthttp.Client
			var req fasthttp.Request
			var resp fasthttp.Response
			req.SetRequestURI(base + "/api/v1/gpus")
			req.Header.Set("Accept-Encoding", coding)
			for b.Loop() {
				if err := client.Do(&req, &resp); err != nil || resp.StatusCode() != fasthttp.StatusOK {
					b.Fatalf("%d, %v", resp.StatusCode(), err)
				}
			}
			b.ReportMetric(float64(len(resp.Body())), "bytes")
		})
	}
}
