package dcgmdmon_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dcgmdmon"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func dmonDialect() dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: dcgmdmon.Grammar(), OfHosts: true}
}

func TestGolden(t *testing.T) { dialecttest.Golden(t, dmonDialect()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, dmonDialect()) }
