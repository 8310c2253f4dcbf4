package eventlog_test

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
)

func TestConfigFlags(t *testing.T) {
	var cfg eventlog.Config
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	cfg.Flags(fs)
	if got, want := fs.Lookup("etcd.root").DefValue, eventlog.DefaultRoot; got != want {
		t.Errorf("etcd.root: got default %q, want %q", got, want)
	}
	if err := fs.Parse([]string{"-etcd.endpoints", "a:1,b:2", "-cluster.id", "west", "-cluster.partitions", "8"}); err != nil {
		t.Fatal(err)
	}
	if cfg.Endpoints != "a:1,b:2" || cfg.ClusterID != "west" || cfg.Partitions != 8 || cfg.Root != eventlog.DefaultRoot {
		t.Errorf("got %+v", cfg)
	}
}

func TestConfigKey(t *testing.T) {
	for _, c := range []struct {
		cfg  eventlog.Config
		want string
	}{
		{eventlog.Config{}, "/telemetry/owners/default-cluster/1/007"},
		{eventlog.Config{Root: "/x", ClusterID: "a/b_c"}, "/x/owners/a%2Fb%5Fc/1/007"},
	} {
		if got := c.cfg.Key("owners", "1", "007"); got != c.want {
			t.Errorf("%+v: got key %q, want %q", c.cfg, got, c.want)
		}
		if got := c.cfg.Prefix("owners", "1", "007"); got != c.want+"/" {
			t.Errorf("%+v: got prefix %q, want %q", c.cfg, got, c.want+"/")
		}
	}
}

// TestDialEndpoints opens clients, which do not connect yet.
func TestDialEndpoints(t *testing.T) {
	for _, c := range []struct {
		endpoints string
		want      []string // nil: refused
	}{
		{"", []string{eventlog.DefaultEndpoints}},
		{" a:1, http://b:2,,unix:///tmp/s ", []string{"a:1", "http://b:2", "unix:///tmp/s"}},
		{"https://a:1", []string{"https://a:1"}},
		{",", nil},
		{"ftp://a:1", nil},
		{"http://", nil},
	} {
		client, err := eventlog.Config{Endpoints: c.endpoints}.Dial(nil)
		if c.want == nil {
			if err == nil {
				client.Close()
				t.Errorf("%q: got %q, want an error", c.endpoints, client.Endpoints())
			} else if !strings.Contains(err.Error(), "endpoint") {
				t.Errorf("%q: got error %q, want one that says endpoint", c.endpoints, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.endpoints, err)
			continue
		}
		if got := client.Endpoints(); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.endpoints, got, c.want)
		}
		client.Close()
	}
}

func TestDialCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  eventlog.Config
		want string
	}{
		"a key without certificate": {eventlog.Config{Endpoints: "https://a:1", KeyFile: "k"}, "set both"},
		"files for an open port":    {eventlog.Config{Endpoints: "http://a:1", CAFile: "ca"}, "not encrypted"},
		"no such file":              {eventlog.Config{Endpoints: "https://a:1", CAFile: "/nowhere/ca.pem"}, "/nowhere/ca.pem"},
	} {
		client, err := c.cfg.Dial(nil)
		if err == nil {
			client.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %q, want one that says %q", name, err, c.want)
		}
	}
}

func TestOpenRefusesSettings(t *testing.T) {
	for name, cfg := range map[string]eventlog.Config{
		"root without slash":   {Root: "telemetry"},
		"root that ends in /":  {Root: "/telemetry/"},
		"negative partitions":  {Partitions: -1},
		"too many partitions":  {Partitions: events.MaxPartitions + 1},
		"negative watch bytes": {WatchBytes: -1},
	} {
		if l, err := eventlog.Open(t.Context(), cfg, nil); err == nil {
			l.Close()
			t.Errorf("%s: opened", name)
		}
	}
}
