package observe

import (
	"os"
	"testing"

	standalone "telemetry-pipeline/deploy/standalone/program"
)

// programVariable has the test binary run as standalone, so that no test has to build a program.
const programVariable = "DEPLOY_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) == "standalone" {
		standalone.Main()
		return
	}
	os.Exit(m.Run())
}
