package ingest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// The page about formats has an example of every dialect with its upload; this sends each.
func TestEveryDialectHasAnExampleThatIsTaken(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "FORMATS.md"))
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)^`([a-z-]+)`\n.*?\n    POST (\\S+)\n\n```[a-z]+\n(.*?)```\n")
	shown := map[string]bool{}
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{}, log, log)
	for _, section := range strings.Split(string(page), "\n### ")[1:] {
		found := example.FindStringSubmatch(section)
		if found == nil {
			t.Errorf("the section %.40q has no dialect, upload and example in this order", section)
			continue
		}
		name, path, text := found[1], found[2], found[3]
		shown[name] = true
		resp, err := http.Post("http://"+s.Addr().String()+path, "text/csv", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Dialect, Error                string
			Accepted, Duplicate, Rejected int
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || got.Dialect != name || got.Accepted == 0 || got.Rejected > 0 {
			t.Errorf("%s: got %d %+v (error %v); want it taken as that, without a rejection", name, resp.StatusCode, got, err)
		}
	}
	for _, g := range pipeline.Grammars() {
		if !shown[g.Name] {
			t.Errorf("docs/FORMATS.md has no example of dialect %s", g.Name)
		}
	}
}
