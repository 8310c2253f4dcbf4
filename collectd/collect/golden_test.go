package collect

import (
	"strings"
	"testing"

	"telemetry-pipeline/events/goldentest"
)

// TestStoredReasons compares the codes in stored quarantine entries, which programs of users compare too.
func TestStoredReasons(t *testing.T) {
	reasons := []string{overwritten, unknownEncoding, undecodable, panicked, missing, oversized}
	goldentest.CheckWrittenText(t, "reasons", 1, strings.Join(reasons, "\n"))
}
