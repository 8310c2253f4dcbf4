package ingest

import (
	"flag"
	"io"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

func parseFlags(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var c Config
	fs := flag.NewFlagSet("ingestd", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c.Flags(fs)
	return c, fs.Parse(args)
}

func TestFlagDefaultsAreTheZeroConfig(t *testing.T) {
	c, err := parseFlags(t)
	if err != nil {
		t.Fatal(err)
	}
	var zero Config
	if got, want := c.withDefaults(), zero.withDefaults(); got != want {
		t.Errorf("flags give %+v, the zero Config is %+v", got, want)
	}
	if got := c.Port.Number(); got != 8081 {
		t.Errorf("default port is %d, want 8081", got)
	}
}

func TestFlagsShowTheirDefaults(t *testing.T) {
	var c Config
	fs := flag.NewFlagSet("ingestd", flag.ContinueOnError)
	c.Flags(fs)
	want := map[string]string{"http.port": "8081", "enable-http": "true", "max-upload-size": "104857600", "max-memory": "33554432"}
	for name, value := range want {
		if got := fs.Lookup(name).DefValue; got != value {
			t.Errorf("default of %s reads %q, want %q", name, got, value)
		}
	}
}

func TestFlags(t *testing.T) {
	cases := []struct {
		args string
		ok   bool
		is   func(Config) bool
	}{
		{"-http.port=0", true, func(c Config) bool { return c.Port == FreePort && c.Port.String() == "0" }},
		{"-http.port=9000", true, func(c Config) bool { return c.Port.Number() == 9000 }},
		{"-http.port=65536", false, nil},
		{"-http.port=http", false, nil},
		{"-enable-http=false", true, func(c Config) bool { return c.Off }},
		{"-enable-http", true, func(c Config) bool { return !c.Off }},
		{"-enable-http=perhaps", false, nil},
	}
	for _, tc := range cases {
		t.Run(tc.args, func(t *testing.T) {
			c, err := parseFlags(t, tc.args)
			if (err == nil) != tc.ok {
				t.Fatalf("parsing gave %v, want ok %t", err, tc.ok)
			}
			if tc.ok && !tc.is(c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestNewRefusesSettingsByTheirFlag(t *testing.T) {
	cases := map[string]Config{
		"max-upload-size": {MaxUploadSize: -1},
		"ingest.workers":  {Workers: -2},
		"ingest.tz":       {Zone: "Mars/Olympus"},
	}
	for name, c := range cases {
		if _, err := New(c, pipelinetest.NewRecorder(), pipelinetest.NewRecorder(), nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that names %s", err, name)
		}
	}
}

func TestOffServesNothing(t *testing.T) {
	log := pipelinetest.NewRecorder()
	s, err := New(Config{Off: true}, log, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
	if s.Addr() != nil {
		t.Errorf("listening on %v", s.Addr())
	}
}
