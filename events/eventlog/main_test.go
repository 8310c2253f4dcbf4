package eventlog_test

import (
	"testing"

	"telemetry-pipeline/events/eventstest"
)

func TestMain(m *testing.M) { eventstest.Main(m) }
