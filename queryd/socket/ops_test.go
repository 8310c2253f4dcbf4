package socket

import (
	"testing"

	"telemetry-pipeline/events/access"
)

func TestEveryOperationNamesItsRight(t *testing.T) {
	for _, op := range liveOps() {
		want := access.Read
		if op.name == "ping" {
			want = access.Public
		}
		if op.need != want {
			t.Errorf("op %q needs %s, want %s", op.name, op.need, want)
		}
	}
}
