package archivetest

import "testing"

// The other implementation of Parquet, from the npm registry, of fixed versions.
const (
	hyparquet   = "hyparquet@1.31.5"
	compressors = "hyparquet-compressors@1.1.2"
)

// FetchHyparquet is FetchNode for the tests that call Hyparquet.
func FetchHyparquet(tests ...string) { FetchNode([]string{hyparquet, compressors}, tests...) }

// Hyparquet runs a JavaScript module that may import hyparquet and hyparquet-compressors, with arguments, and returns its
// standard output.
func Hyparquet(t testing.TB, script []byte, arguments ...string) []byte {
	t.Helper()
	out, err := Node(t.Context(), t, []string{hyparquet, compressors}, script, arguments...).Output()
	if err != nil {
		t.Fatalf("running a script with %s: %v", hyparquet, err)
	}
	return out
}
