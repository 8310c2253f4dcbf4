package program

import (
	"os"
	"testing"

	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) {
	eventstest.OverlapTests()
	os.Exit(m.Run())
}
