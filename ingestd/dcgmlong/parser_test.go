package dcgmlong_test

import (
	"flag"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/dcgmlong"
	"telemetry-pipeline/ingestd/dialect"
	"telemetry-pipeline/ingestd/dialect/dialecttest"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write what the inputs of testdata give")
	os.Exit(m.Run())
}

func long() dialecttest.Dialect {
	return dialecttest.Dialect{
		Match: dcgmlong.Match,
		Open: func(header [][]byte, opt dialect.Options) (func() dialecttest.Worker, error) {
			p, err := dcgmlong.New(header, opt)
			if err != nil {
				return nil, err
			}
			return func() dialecttest.Worker { return p.Worker() }, nil
		},
	}
}

func TestGolden(t *testing.T) { dialecttest.Golden(t, long()) }

func FuzzParse(f *testing.F) { dialecttest.Fuzz(f, long()) }
