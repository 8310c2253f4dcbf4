package smiquery_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/smiquery"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func queryDialect() dialecttest.Dialect { return dialecttest.Dialect{Grammar: smiquery.Grammar()} }

func TestGolden(t *testing.T) { dialecttest.Golden(t, queryDialect()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, queryDialect()) }
