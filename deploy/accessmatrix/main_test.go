package accessmatrix

import (
	"os"
	"testing"

	"go.etcd.io/etcd/server/v3/etcdmain"

	collectd "telemetry-pipeline/collectd/program"
	standalone "telemetry-pipeline/deploy/standalone/program"
	"telemetry-pipeline/events/eventstest"
	ingestd "telemetry-pipeline/ingestd/program"
	queryd "telemetry-pipeline/queryd/program"
)

// programVariable names the program as which the test binary runs, so that no test has to build one.
const programVariable = "ACCESSMATRIX_TEST_PROGRAM"

func TestMain(m *testing.M) {
	name := os.Getenv(programVariable)
	if name == "" {
		eventstest.OverlapTests()
		os.Exit(m.Run())
	}
	main, known := map[string]func(){
		"ingestd":    ingestd.Main,
		"collectd":   collectd.Main,
		"queryd":     queryd.Main,
		"standalone": standalone.Main,
		"etcd":       func() { etcdmain.Main(os.Args) },
	}[name]
	if !known {
		panic(programVariable + " names no program: " + name)
	}
	main()
}
