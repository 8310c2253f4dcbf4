package deploy

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"go.etcd.io/etcd/server/v3/etcdmain"

	collectd "telemetry-pipeline/collectd/program"
	standalone "telemetry-pipeline/deploy/standalone/program"
	"telemetry-pipeline/events/archive/archivetest"
	"telemetry-pipeline/events/eventstest"
	ingestd "telemetry-pipeline/ingestd/program"
	queryd "telemetry-pipeline/queryd/program"
)

// programVariable names the program as which the test binary runs. Tests that need processes start their own binary
// again with it, so that no test has to build a program.
const programVariable = "DEPLOY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	name := os.Getenv(programVariable)
	if name == "" {
		archivetest.FetchNode(graphqlWS(), "TestReadmeShowsCommandsThatWork")
		archivetest.FetchGateway("TestComposeServicesWorkTogether")
		eventstest.OverlapTests()
		os.Exit(m.Run())
	}
	main, known := programs()[name]
	if !known {
		panic(programVariable + " names no program: " + name)
	}
	main()
}

// programs returns the main function of each program that tests start.
func programs() map[string]func() {
	return map[string]func(){
		"ingestd":    ingestd.Main,
		"collectd":   collectd.Main,
		"queryd":     queryd.Main,
		"standalone": standalone.Main,
		"etcd":       func() { etcdmain.Main(os.Args) },
	}
}

// programCommand returns a command that runs a program in a process of its own, with env added to the test's environment.
func programCommand(ctx context.Context, t *testing.T, name string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(append(os.Environ(), env...), programVariable+"="+name)
	return cmd
}
