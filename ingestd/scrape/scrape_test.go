package scrape_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/scrape"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func promDialect() dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: scrape.Grammar()}
}

func TestGolden(t *testing.T) { dialecttest.Golden(t, promDialect()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, promDialect()) }
