package smidmon_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/smidmon"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func dmonDialect() dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: smidmon.Dmon(), Cases: "dmon"}
}

func pmonDialect() dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: smidmon.Pmon(), Cases: "pmon"}
}

func TestDmonGolden(t *testing.T) { dialecttest.Golden(t, dmonDialect()) }

func TestPmonGolden(t *testing.T) { dialecttest.Golden(t, pmonDialect()) }

func FuzzDmon(f *testing.F) { dialecttest.Fuzz(f, dmonDialect()) }

func FuzzPmon(f *testing.F) { dialecttest.Fuzz(f, pmonDialect()) }
