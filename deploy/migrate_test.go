package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// indentedBlock matches a block of shell commands, with or without the indentation of a list.
var indentedBlock = regexp.MustCompile("(?ms)^( *)```sh\n(.*?)^ *```$")

// shellBlocks returns the blocks of shell commands of a page.
func shellBlocks(t *testing.T, page string) (blocks []string) {
	t.Helper()
	for _, m := range indentedBlock.FindAllStringSubmatch(readText(t, filepath.Join("..", "docs", page)), -1) {
		blocks = append(blocks, strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n"))
	}
	return blocks
}

// migrated is an etcd and the three daemons, whose streamer and gateway curl finds by these names.
type migrated struct {
	*testing.T
	dir string // with sample.csv, and the file that leads curl to the ports
	env []string
}

// startMigrated starts the processes; env is of all three daemons.
func startMigrated(t *testing.T, host string, env ...string) *migrated {
	t.Helper()
	port := freePorts(t, 7)
	loopback := func(i int) string { return "http://127.0.0.1:" + port[i] }
	launchEtcd(t, loopback(0), loopback(1))
	with := func(admin int, more ...string) []string {
		return append(append(more, env...), "ETCD_ENDPOINTS="+loopback(0), "ADMIN_HOST=127.0.0.1", "ADMIN_PORT="+port[admin])
	}
	launch(t, "collectd", "collectd", with(2, "PARTITION_DATA_DIR="+t.TempDir()))
	launch(t, "queryd", "queryd", with(3, "PORT="+port[4], "QUERY_HOST="+host, "QUERY_UPLOAD_URL=http://streamer:8081"))
	launch(t, "ingestd", "ingestd", with(5, "HTTP_PORT="+port[6], "HTTP_HOST="+host, "UPLOAD_DIR="+t.TempDir()))
	for _, i := range []int{2, 3, 5} {
		isReady(t, loopback(i))
	}
	m := &migrated{T: t, dir: t.TempDir()}
	m.env = append(os.Environ(), "HOME="+m.dir, "CURL_HOME="+m.dir, "http_proxy=", "HTTP_PROXY=")
	m.write("sample.csv", string(fleetFile(3, 34)))
	m.write(".curlrc", fmt.Sprintf("connect-to = \"streamer:8081:127.0.0.1:%s\"\nconnect-to = \"gateway:8080:127.0.0.1:%s\"\n", port[6], port[4]))
	return m
}

func (m *migrated) write(name, text string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
}

// run runs commands as they are printed and returns their output.
func (m *migrated) run(commands string, env ...string) string {
	m.Helper()
	cmd := exec.CommandContext(m.Context(), "bash", "-euc", commands)
	cmd.Dir, cmd.Env, cmd.Stderr = m.dir, append(m.env, env...), m.Output()
	out, err := cmd.Output()
	if err != nil {
		m.Fatalf("%s: %v\n%s", commands, err, out)
	}
	return string(out)
}

// TestTheDocumentsCommandsWorkAsPrinted runs the lines of "Testing the migration", in which the architecture document's own lines stand.
func TestTheDocumentsCommandsWorkAsPrinted(t *testing.T) {
	t.Parallel()
	blocks := shellBlocks(t, "MIGRATE.md")
	if len(blocks) != 5 {
		t.Fatalf("MIGRATE.md shows %d blocks of commands; this test knows 5", len(blocks))
	}
	for i, line := range []string{"\ncurl -X POST http://streamer:8081/api/v1/csv/upload \\\n  -F \"file=@sample.csv\"\n", "\ncurl http://gateway:8080/api/v1/gpus\n"} {
		if blocks[i] != line {
			t.Errorf("block %d is %q, the architecture document prints %q", i, blocks[i], line)
		}
	}
	m := startMigrated(t, "127.0.0.1", "ACCESS_HOSTS=streamer,gateway")
	if said := m.run(blocks[0]); !strings.Contains(said, `"accepted":18`) {
		t.Errorf("the upload printed %s", said)
	}
	if said := m.run(blocks[2]); !strings.Contains(said, `"host-002"`) {
		t.Errorf("the query that waits printed %s", said)
	}
	if said := m.run(blocks[1]); !strings.Contains(said, `"count":6`) {
		t.Errorf("the query printed %s", said)
	}
	if said := m.run(blocks[3]); !strings.Contains(said, `"duplicate":18`) && !strings.Contains(said, `"duplicates":18`) {
		t.Errorf("the upload by the old address printed %s", said)
	}
}

// TestTheDocumentsCommandsWithAToken runs the lines against listeners that other machines reach.
func TestTheDocumentsCommandsWithAToken(t *testing.T) {
	t.Parallel()
	blocks := shellBlocks(t, "MIGRATE.md")
	out, err := programCommand(t.Context(), t, "queryd", nil, "token", "new", "-name", "migration", "-roles", "ingest,read", "-scope", "*").Output()
	token, line, _ := strings.Cut(string(out), "\n")
	file := filepath.Join(t.TempDir(), "principals")
	if err != nil || os.WriteFile(file, []byte(line), 0o600) != nil {
		t.Fatalf("making a token: %v", err)
	}
	m := startMigrated(t, "0.0.0.0", "ACCESS_FILE="+file)
	for _, block := range blocks[:2] {
		if said := m.run(block); !strings.Contains(said, `"code":"unauthenticated"`) {
			t.Errorf("without a token: %s printed %s", block, said)
		}
	}
	if said := m.run(blocks[4], "TOKEN="+token); !strings.Contains(said, `"accepted":18`) || !strings.Contains(said, `"data":[`) {
		t.Errorf("with a token: printed %s", said)
	}
}

// TestOldVariablesAreFlags checks that each variable of the older components is one of the program that MIGRATE.md names.
func TestOldVariablesAreFlags(t *testing.T) {
	t.Parallel()
	rows := regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (\\w+) \\|").FindAllStringSubmatch(readText(t, filepath.Join("..", "docs", "MIGRATE.md")), -1)
	old := map[string]bool{}
	for _, name := range strings.Fields("ENABLE_HTTP HTTP_PORT UPLOAD_DIR MAX_UPLOAD_SIZE MAX_MEMORY BATCH_SIZE STREAM_INTERVAL PORT ENABLE_GRAPHQL ENABLE_WEBSOCKET ENABLE_CORS POLL_INTERVAL BUFFER_SIZE WORKERS") {
		old[name] = true
	}
	flags := map[string]string{}
	for _, program := range []string{"ingestd", "collectd", "queryd"} {
		out, err := programCommand(t.Context(), t, program, nil, "-help-markdown").Output()
		if err != nil {
			t.Fatal(err)
		}
		flags[program] = string(out)
	}
	for _, row := range rows {
		if !strings.Contains(flags[row[2]], "| `"+row[1]+"` |") {
			t.Errorf("%s has no variable %s", row[2], row[1])
		}
		delete(old, row[1])
	}
	if len(old) > 0 {
		t.Errorf("MIGRATE.md leaves out %v", old)
	}
}
