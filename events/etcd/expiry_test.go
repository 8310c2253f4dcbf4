package etcd

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"telemetry-pipeline/events/listen/listentest"
)

// expiries returns the metrics of a connection's certificates by their label.
func expiries(t *testing.T, c Connection) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := c.Metrics(reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			found[labelOf(m)] = m.GetGauge().GetValue()
		}
	}
	return found
}

func labelOf(m *dto.Metric) string { return m.GetLabel()[0].GetValue() }

func TestCertificatesTowardsEtcdExpireInAMetric(t *testing.T) {
	dir := t.TempDir()
	ca := listentest.NewCA(t)
	cert, _ := ca.Client(t, dir, "ingestd")
	c := Connection{CertFile: cert, CAFile: ca.File}
	got := expiries(t, c)
	if len(got) != 2 || got["client"] <= 0 || got["authority"] <= 0 {
		t.Fatalf("got %v, want the time left to both", got)
	}
	// The earliest of a chain counts, and a later look is nearer to the end.
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(ca.File)
	if err != nil {
		t.Fatal(err)
	}
	chain := filepath.Join(dir, "chain.crt")
	if err := os.WriteFile(chain, append(text, authority...), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	want := min(secondsToExpiry(cert, now), secondsToExpiry(ca.File, now))
	if left := secondsToExpiry(chain, now); left != want {
		t.Errorf("a chain: got %v, want %v", left, want)
	}
	if left := secondsToExpiry(cert, now.Add(100*24*365*time.Hour)); left >= 0 {
		t.Errorf("a hundred years later: got %v, want a negative time", left)
	}
	if got := expiries(t, Connection{CertFile: filepath.Join(dir, "missing")}); len(got) != 1 || got["client"] != 0 {
		t.Errorf("a missing file: got %v, want 0", got)
	}
	if got := expiries(t, Connection{}); len(got) != 0 {
		t.Errorf("without certificates: got %v", got)
	}
}
