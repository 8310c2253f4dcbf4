package fleetint_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/fleetint"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func dialectOf(g dialect.Grammar, cases string) dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: g, Cases: cases, OfHosts: cases != "metrics"}
}

func TestMetrics(t *testing.T) { dialecttest.Golden(t, dialectOf(fleetint.Metrics(), "metrics")) }
func TestEvents(t *testing.T)  { dialecttest.Golden(t, dialectOf(fleetint.Events(), "events")) }
func TestHealth(t *testing.T)  { dialecttest.Golden(t, dialectOf(fleetint.Health(), "health")) }

func FuzzMetrics(f *testing.F) { dialecttest.Fuzz(f, dialectOf(fleetint.Metrics(), "metrics")) }
func FuzzEvents(f *testing.F)  { dialecttest.Fuzz(f, dialectOf(fleetint.Events(), "events")) }
func FuzzHealth(f *testing.F)  { dialecttest.Fuzz(f, dialectOf(fleetint.Health(), "health")) }
