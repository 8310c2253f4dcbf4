package dcgmlong_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func longDialect() dialecttest.Dialect { return dialecttest.Dialect{Grammar: dcgmlong.Grammar()} }

func TestGolden(t *testing.T) { dialecttest.Golden(t, longDialect()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, longDialect()) }
