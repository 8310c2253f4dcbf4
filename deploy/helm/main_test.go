package helm

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"testing"

	"go.etcd.io/etcd/server/v3/etcdmain"

	collectd "telemetry-pipeline/collectd/program"
	ingestd "telemetry-pipeline/ingestd/program"
	queryd "telemetry-pipeline/queryd/program"
)

var update = flag.Bool("update", false, "write the generated files of the chart again")

// programVariable names the program as which the test binary runs, so that no test has to build one.
const programVariable = "HELM_TEST_PROGRAM"

func TestMain(m *testing.M) {
	programs := map[string]func(){
		"ingestd": ingestd.Main, "collectd": collectd.Main, "queryd": queryd.Main,
		"etcd": func() { etcdmain.Main(os.Args) },
	}
	name := os.Getenv(programVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	main, known := programs[name]
	if !known {
		panic(programVariable + " names no program: " + name)
	}
	main()
}

// programCommand returns a command that runs a program in a process of its own, with env alone as its environment.
func programCommand(ctx context.Context, t *testing.T, name string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(env, programVariable+"="+name, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
	return cmd
}
