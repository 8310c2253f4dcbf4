package wide_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
	"telemetry-pipeline/ingestd/wide"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what the inputs of testdata give")
	os.Exit(m.Run())
}

func form() dialecttest.Dialect {
	return dialecttest.Dialect{
		Match: wide.Match,
		Open: func(header [][]byte, opt dialect.Options) (func() dialecttest.Worker, error) {
			p, err := wide.New(header, opt)
			if err != nil {
				return nil, err
			}
			return func() dialecttest.Worker { return p.Worker() }, nil
		},
	}
}

func TestGolden(t *testing.T) { dialecttest.Golden(t, form()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, form()) }
