package smidmon_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/smidmon"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what the inputs of testdata give")
	os.Exit(m.Run())
}

func dmon() dialecttest.Dialect { return dialecttest.Dialect{Grammar: smidmon.Dmon(), Cases: "dmon"} }

func pmon() dialecttest.Dialect { return dialecttest.Dialect{Grammar: smidmon.Pmon(), Cases: "pmon"} }

func TestDmonGolden(t *testing.T) { dialecttest.Golden(t, dmon()) }

func TestPmonGolden(t *testing.T) { dialecttest.Golden(t, pmon()) }

func FuzzDmon(f *testing.F) { dialecttest.Fuzz(f, dmon()) }

func FuzzPmon(f *testing.F) { dialecttest.Fuzz(f, pmon()) }
