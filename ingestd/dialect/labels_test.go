package dialect_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/dialect"
)

func TestParseLabels(t *testing.T) {
	type labels = []events.Label
	for text, want := range map[string]labels{
		``:                                 nil,
		`{}`:                               nil,
		` { } `:                            nil,
		`a="1"`:                            {{Name: "a", Value: "1"}},
		`b="2",a="1"`:                      {{Name: "a", Value: "1"}, {Name: "b", Value: "2"}},
		`{a="1",}`:                         {{Name: "a", Value: "1"}},
		` a = "1" , b = "2" , `:            {{Name: "a", Value: "1"}, {Name: "b", Value: "2"}},
		`a="",b="2"`:                       {{Name: "b", Value: "2"}},
		`a="x\"y\\z\nw"`:                   {{Name: "a", Value: "x\"y\\z\nw"}},
		`a="C:\dir\"`:                      nil,
		`a="C:\dir\q"`:                     {{Name: "a", Value: `C:\dir\q`}},
		`"gpu.name"="H100, 80GB","_x9"=""`: {{Name: "gpu.name", Value: "H100, 80GB"}},
		`a="{b=\"1\"}"`:                    {{Name: "a", Value: `{b="1"}`}},
	} {
		got, err := dialect.ParseLabels(text)
		if text == `a="C:\dir\"` {
			if err == nil {
				t.Errorf("%s: got %v, want an error", text, got)
			}
			continue
		}
		if diff := cmp.Diff(want, append(labels(nil), got...)); diff != "" || err != nil {
			t.Errorf("%s: error %v, labels (-want +got):\n%s", text, err, diff)
		}
	}
}

func TestParseLabelsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`a`:               `byte 2: "=" is wanted`,
		`a="1`:            "a closing quote",
		`a=1`:             "byte 3: a quote",
		`a="1"b="2"`:      "byte 6: a comma",
		`{a="1"`:          "a closing brace",
		`{a="1"} x`:       "byte 9: the end",
		`a="1"}`:          "byte 6: a comma",
		`9a="1"`:          "byte 1: a label's name",
		`,`:               "byte 1: a label's name",
		`a="1",,b="2"`:    "byte 7: a label's name",
		`a="1",a="2"`:     `label "a" is there twice`,
		`a="1",a=""`:      `label "a" is there twice`,
		"a=\"\xff\"":      "not valid UTF-8",
		"\"a\x01\"=\"1\"": "control characters",
	} {
		if got, err := dialect.ParseLabels(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, error %v; want %q", text, got, err, want)
		}
	}
}

// FuzzLabels checks that ParseLabels and AppendLabels undo each other, from either side.
func FuzzLabels(f *testing.F) {
	for _, seed := range []string{``, `{a="1",b="x\"\\\n"}`, `"a.b"="c"`, `a="\q"`, `a="1",a="2"`, "a=\"\t\""} {
		f.Add(seed, "name", "value")
	}
	f.Add("", "gpu.name", "a\\n\"\n{},=")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		if parsed, err := dialect.ParseLabels(text); err == nil {
			checkRoundTrip(t, parsed)
		}
		control := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		if name != "" && value != "" && !control && utf8.ValidString(name) && utf8.ValidString(value) {
			checkRoundTrip(t, []events.Label{{Name: name, Value: value}})
		}
	})
}

func checkRoundTrip(t *testing.T, labels []events.Label) {
	t.Helper()
	text := dialect.AppendLabels(nil, labels)
	got, err := dialect.ParseLabels(string(text))
	if err != nil || !slices.Equal(got, labels) {
		t.Fatalf("%q were written as %s, which says %q, error %v", labels, text, got, err)
	}
}
