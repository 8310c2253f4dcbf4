// Package observe makes the Grafana dashboards of deploy/grafana, and its tests hold them and the alert rules of deploy/prometheus
// together with the rest: expressions parse, metrics exist, runbooks have the sections that alerts link to.
//
// Pipeline and Fleet return the dashboards as values; the files are their JSON, written by
//
//	go test ./deploy/observe -run TestDashboardFiles -update
package observe
