package fleet

import (
	"strconv"
	"time"
)

// Hosts returns the number of hosts.
func (f *Fleet) Hosts() int { return (len(f.gpus) + GPUsPerHost - 1) / GPUsPerHost }

// Frame is the state of a fleet at one time. It does not change, so several goroutines may use it.
type Frame struct{ gpus []gpu }

// Advance moves every GPU on by one sample and returns the new state.
func (f *Fleet) Advance() *Frame {
	f.stepAll()
	frame := &Frame{make([]gpu, len(f.gpus))}
	for i, g := range f.gpus {
		frame.gpus[i] = *g
	}
	return frame
}

// AppendScrape appends the output of the exporter of one host, in the text format of Prometheus, with a time behind each
// sample.
func (f *Frame) AppendScrape(text []byte, host int, at time.Time) []byte {
	gpus := f.gpus[host*GPUsPerHost : min((host+1)*GPUsPerHost, len(f.gpus))]
	for _, metric := range MetricNames() {
		text = append(append(append(text, "# TYPE "...), metric...), " gauge\n"...)
		for i := range gpus {
			text = gpus[i].appendSample(text, metric, at)
		}
	}
	return text
}

// AppendGPU appends samples of one GPU, counted round and round: of the metrics whose names are given.
func (f *Frame) AppendGPU(text []byte, i int, metrics []string, at time.Time) []byte {
	for _, metric := range metrics {
		text = f.gpus[i%len(f.gpus)].appendSample(text, metric, at)
	}
	return text
}

func (g *gpu) appendSample(text []byte, metric string, at time.Time) []byte {
	text = append(append(text, metric...), g.labels...)
	text = append(append(text, g.readMetric(metric)...), ' ')
	return append(strconv.AppendInt(text, at.UnixMilli(), 10), '\n')
}
