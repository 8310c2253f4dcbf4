package main

import "telemetry-pipeline/deploy/measure"

// kindText is the content type of Prometheus' text format.
const kindText = "text/plain"

// uploadTarget returns the address where our server takes files.
func (r *run) uploadTarget(parameters string) measure.Target {
	return measure.Target{Process: r.ours.Process, Address: r.ours.Uploads + "/api/v1/csv/upload" + parameters, Kind: kindText}
}

// importTarget returns the address where VictoriaMetrics takes the same text.
func (r *run) importTarget() measure.Target {
	return measure.Target{Process: r.theirs.Process, Address: r.theirs.address + "/api/v1/import/prometheus", Kind: kindText}
}
