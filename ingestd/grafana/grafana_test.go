package grafana_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/grafana"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the results of the inputs in testdata")
	os.Exit(m.Run())
}

func byRows() dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: grafana.Rows(), Cases: "rows"}
}

func byColumns() dialecttest.Dialect {
	return dialecttest.Dialect{Grammar: grafana.Columns(), Cases: "columns"}
}

func TestRows(t *testing.T)    { dialecttest.Golden(t, byRows()) }
func TestColumns(t *testing.T) { dialecttest.Golden(t, byColumns()) }

func FuzzRows(f *testing.F)    { dialecttest.Fuzz(f, byRows()) }
func FuzzColumns(f *testing.F) { dialecttest.Fuzz(f, byColumns()) }
