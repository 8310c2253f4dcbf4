package smiapps_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/smiapps"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func appsDialect() dialecttest.Dialect { return dialecttest.Dialect{Grammar: smiapps.Grammar()} }

func TestGolden(t *testing.T) { dialecttest.Golden(t, appsDialect()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, appsDialect()) }
