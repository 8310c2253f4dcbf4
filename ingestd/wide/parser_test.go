package wide_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/wide"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func wideDialect() dialecttest.Dialect { return dialecttest.Dialect{Grammar: wide.Grammar()} }

func TestGolden(t *testing.T) { dialecttest.Golden(t, wideDialect()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, wideDialect()) }
