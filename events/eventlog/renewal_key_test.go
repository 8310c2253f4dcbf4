package eventlog

import "testing"

// A renewal that was interrupted is found under this key by the run after it, of a later version too.
func TestTheKeyOfARenewalStays(t *testing.T) {
	l := &Log{}
	if got, want := l.renewalKey(), "/telemetry/config/default-cluster/renewal"; got != want {
		t.Errorf("a renewal is stored at %s, want %s, where earlier versions store it", got, want)
	}
}
