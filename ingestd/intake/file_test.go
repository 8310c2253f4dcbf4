package intake

import "testing"

func TestBaseName(t *testing.T) {
	cases := map[string]string{
		"a.csv": "a.csv", "/tmp/a.csv": "a.csv", `C:\data\a.csv`: "a.csv", "../../a.csv": "a.csv", "a\nb.csv": "ab.csv",
		"": "", "/": "", "..": "..", "\xff.csv": "\uFFFD.csv",
	}
	for name, want := range cases {
		if got := BaseName(name); got != want {
			t.Errorf("baseName(%q) is %q, want %q", name, got, want)
		}
	}
}
