package fleet

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"
)

// WriteLong writes a file of the DCGM long form, a row per reading: a sample of every GPU at each of times,
// moving the fleet on before each.
func (f *Fleet) WriteLong(w io.Writer, times []time.Time) error {
	return f.writeRows(w, times,
		[]string{"timestamp", "metric_name", "gpu_id", "device", "uuid", "modelName", "Hostname", "container", "pod", "namespace", "value", "labels_raw"},
		func(out *csv.Writer, stamp string) error {
			for _, metric := range MetricNames() {
				for _, g := range f.gpus {
					if err := out.Write(g.longRow(stamp, metric)); err != nil {
						return err
					}
				}
			}
			return nil
		})
}

// WriteLean writes the same samples in the long form with the fewest columns, metric by metric, so that the readings of a
// host are far apart.
func (f *Fleet) WriteLean(w io.Writer, times []time.Time) error {
	header := []string{"timestamp", "metric_name", "gpu_id", "uuid", "modelName", "Hostname", "value"}
	return f.writeRows(w, times, header, func(out *csv.Writer, stamp string) error {
		for _, metric := range MetricNames() {
			for _, g := range f.gpus {
				if err := out.Write([]string{stamp, metric, strconv.Itoa(g.index), g.uuid, fleetModel, g.host, g.readMetric(metric)}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (g *gpu) longRow(stamp, metric string) []string {
	index := strconv.Itoa(g.index)
	labels := fmt.Sprintf(`DCGM_FI_DRIVER_VERSION="%s",Hostname="%s",UUID="%s",__name__="%s",device="nvidia%s",gpu="%s",instance="%s:%d",job="%s",modelName="%s"`,
		fleetDriver, g.host, g.uuid, metric, index, index, g.host, exporterPort, fleetJob, fleetModel)
	return []string{stamp, metric, index, "nvidia" + index, g.uuid, fleetModel, g.host, "", "", "", g.readMetric(metric), labels}
}

// WriteWide writes the same samples in the wide form, a row per GPU and time.
func (f *Fleet) WriteWide(w io.Writer, times []time.Time) error {
	header := append([]string{"timestamp", "gpu_id", "uuid", "device", "model_name", "hostname", "driver_version"}, MetricNames()...)
	return f.writeRows(w, times, header, func(out *csv.Writer, stamp string) error {
		for _, g := range f.gpus {
			index := strconv.Itoa(g.index)
			row := []string{stamp, index, g.uuid, "nvidia" + index, fleetModel, g.host, fleetDriver}
			for _, metric := range MetricNames() {
				row = append(row, g.readMetric(metric))
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *Fleet) writeRows(w io.Writer, times []time.Time, header []string, sample func(out *csv.Writer, stamp string) error) error {
	out := csv.NewWriter(w)
	if err := out.Write(header); err != nil {
		return err
	}
	for _, at := range times {
		f.stepAll()
		if err := sample(out, at.UTC().Format(time.RFC3339)); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
