package deploy

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPodsAreJoinedToTheirNode runs the command join beside standalone: it needs collectors that fold, and is usable by its
// flags as by its variables.
func TestPodsAreJoinedToTheirNode(t *testing.T) {
	t.Parallel()
	port, dir := freePorts(t, 3), t.TempDir()
	launch(t, "standalone", "standalone", []string{"DATA_DIR=" + dir, "HTTP_PORT=" + port[0], "PORT=" + port[1], "ADMIN_PORT=" + port[2],
		"HTTP_HOST=127.0.0.1", "QUERY_HOST=127.0.0.1", "ADMIN_HOST=127.0.0.1"})
	isReady(t, "http://127.0.0.1:"+port[2])
	upload(t, "http://127.0.0.1:"+port[0], fleetFile(5, 1)) // host-000 to host-004, 6 records each
	env := []string{"ETCD_ENDPOINTS=unix://" + filepath.Join(dir, "run", "client"), "ARCHIVE_URL=file://" + filepath.Join(dir, "archive")}
	collectd := func(env []string, args ...string) (code int, out string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var text bytes.Buffer
		cmd := programCommand(ctx, t, "collectd", env, args...)
		cmd.Stdout, cmd.Stderr = &text, t.Output()
		_ = cmd.Run() // the code says how it ended
		return cmd.ProcessState.ExitCode(), text.String()
	}
	joined := "joined 4 hosts to node-1: 4 events with 24 records appended, 0 there already\n"
	for _, test := range []struct {
		env  []string
		args []string
		code int
		want string
	}{
		{nil, []string{"join", "-host", "host-00?"}, 2, ""},
		{nil, []string{"join", "-host", "host-009", "-node", "node-1"}, 1, ""},
		{nil, []string{"join", "-host", "host-001,host-002", "-host", "host-003,host-004", "-node", "node-1", "-dry-run"}, 0, "would " + strings.NewReplacer("joined", "join", "appended", "to append").Replace(joined)},
		{nil, []string{"join", "-host", "host-001,host-002", "-host", "host-003,host-004", "-node", "node-1"}, 0, joined},
		{[]string{"JOIN_HOST=host-001,host-00[?],host-002", "JOIN_NODE=node-1"}, []string{"join"}, 0, "joined 2 hosts to node-1: 0 events with 0 records appended, 2 there already\n"},
	} {
		if code, out := collectd(append(env, test.env...), test.args...); code != test.code || !strings.HasSuffix(out, test.want) {
			t.Errorf("collectd %q ended with %d and wrote %q, want %d and %q at its end", test.args, code, out, test.code, test.want)
		}
	}
	eventually(t, "the hosts that are left", func() (bool, string) {
		_, text := get("http://127.0.0.1:" + port[1] + "/api/v1/hosts")
		return strings.Count(text, `"hostname"`) == 2 && strings.Contains(text, `"host-000"`) && strings.Contains(text, `"node-1"`), text
	})
	eventually(t, "history of the node", func() (bool, string) {
		_, text := get("http://127.0.0.1:" + port[1] + "/api/v1/telemetry?host_id=node-1")
		return strings.Count(text, `"power_draw"`) == 8, text // of each GPU of four hosts
	})
}
