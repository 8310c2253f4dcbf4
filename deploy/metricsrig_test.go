package deploy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"telemetry-pipeline/events/listen/listentest"
)

// metricsRig is every program as a process, with TLS, towards etcd too: the three daemons on one etcd, a queryd for the clusters of a file,
// and standalone.
type metricsRig struct {
	client           *http.Client
	admins           map[string]string // URLs of the admin listeners, by program
	uploads, queries []string          // URLs of the listeners for uploads and for queries
}

// severalClusters is the name of the queryd that serves the clusters of a file.
const severalClusters = "queryd with `-query.cells`"

func startMetricsRig(t *testing.T) *metricsRig {
	t.Helper()
	port := freePorts(t, 12)
	ca := listentest.NewCA(t)
	cert, key := ca.Server(t, t.TempDir())
	secure := func(i int) string { return "https://127.0.0.1:" + port[i] }
	etcd := secure(0)
	launchEtcd(t, etcd, "http://127.0.0.1:"+port[1], "--cert-file", cert, "--key-file", key, "--client-cert-auth", "--trusted-ca-file", ca.File)
	etcdCert, etcdKey := ca.Client(t, t.TempDir(), "daemon")
	towardsEtcd := []string{"ETCD_CA=" + ca.File, "ETCD_CERT=" + etcdCert, "ETCD_KEY=" + etcdKey}
	cells := filepath.Join(t.TempDir(), "cells")
	if err := os.WriteFile(cells, fmt.Appendf(nil, "{\"name\":\"north\",\"endpoints\":%q}\n", etcd), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &metricsRig{
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}},
		admins: map[string]string{}, uploads: []string{secure(4), secure(5)}, queries: []string{secure(6), secure(7), secure(8)},
	}
	for i, p := range []struct {
		name, program string
		env           []string
	}{
		{"collectd", "collectd", []string{"ETCD_ENDPOINTS=" + etcd, "PARTITION_DATA_DIR=" + t.TempDir(), "ARCHIVE_URL=file://" + t.TempDir()}},
		{"ingestd", "ingestd", []string{"ETCD_ENDPOINTS=" + etcd, "HTTP_PORT=" + port[4], "UPLOAD_DIR=" + t.TempDir()}},
		{"queryd", "queryd", []string{"ETCD_ENDPOINTS=" + etcd, "PORT=" + port[6]}},
		{severalClusters, "queryd", []string{"QUERY_CELLS=" + cells, "PORT=" + port[7]}},
		{"standalone", "standalone", []string{"DATA_DIR=" + t.TempDir(), "HTTP_PORT=" + port[5], "PORT=" + port[8]}},
	} {
		admin := []int{2, 3, 9, 10, 11}[i]
		if p.program != "standalone" { // its etcd is its own
			p.env = append(p.env, towardsEtcd...)
		}
		launch(t, p.program+port[admin], p.program, append(p.env, "ADMIN_PORT="+port[admin], "TLS_CERT="+cert, "TLS_KEY="+key))
		r.admins[p.name] = secure(admin)
	}
	for name, admin := range r.admins {
		eventually(t, "readiness of "+name, func() (bool, string) {
			status, text := r.fetch(t, http.MethodGet, admin+"/ready", nil, nil)
			return status == http.StatusOK, text
		})
	}
	for _, name := range []string{"collectd", "standalone"} {
		eventually(t, "measurements of the log by "+name, func() (bool, string) {
			text := r.scrape(t, name)
			return strings.Contains(text, "\ntelemetry_log_events ") && strings.Count(text, "\ntelemetry_retain_archive_entries{") == 64, text
		})
	}
	return r
}

// fetch sends a request; a status of 0 is a failed one.
func (r *metricsRig) fetch(t *testing.T, method, address string, header http.Header, body io.Reader) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		request.Header = header
	}
	resp, err := r.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// upload sends a file of a name to a streamer.
func (r *metricsRig) upload(t *testing.T, base, parameters, filename string, header http.Header, content []byte) (int, string) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=file; filename=%q", filename)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", form.FormDataContentType())
	return r.fetch(t, http.MethodPost, base+"/api/v1/csv/upload"+parameters, header, &body)
}

// scrape returns the metrics of a program as text.
func (r *metricsRig) scrape(t *testing.T, name string) string {
	t.Helper()
	status, text := r.fetch(t, http.MethodGet, r.admins[name]+"/metrics", nil, nil)
	if status != http.StatusOK {
		t.Fatalf("metrics of %s: %d %.300s", name, status, text)
	}
	return text
}

// families returns the families of a program's metrics.
func (r *metricsRig) families(t *testing.T, name string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(r.scrape(t, name)))
	if err != nil {
		t.Fatalf("metrics of %s: %v", name, err)
	}
	return all
}
