package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// directory is a data directory of standalone that the two releases use in turn, beside the run: etcd, log, projections and archive in one.
type directory struct {
	first, present release
	proc           *process
	ledger         *ledger
	queries        string
	uploads        string
	admin          string
	kept           verdict
}

// usesOfDirectory is how often the directory is used: previous, present, and again with both ended by a kill, and once more in order.
const (
	usesOfDirectory  = 6
	uploadsToEachUse = 12
)

// newDirectory lays a standalone out in dir, and starts nothing.
func newDirectory(dir string, first, present release) (*directory, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	args := []string{"-data-dir=" + filepath.Join(dir, "data", "standalone"), "-archive.interval=1s", "-hot.window=1s"}
	for i, prefix := range []string{"http", "admin"} {
		args = append(args, flagsOf(prefix, ports[i])...)
	}
	host, port, _ := net.SplitHostPort(ports[2]) // our own address
	return &directory{first: first, present: present, ledger: newLedger(), uploads: "http://" + ports[0], admin: "http://" + ports[1], queries: "http://" + ports[2],
		proc: &process{name: "standalone", args: append(args, "-query.host="+host, "-port="+port), logs: filepath.Join(dir, "logs")},
		kept: verdict{promise: "a data directory of standalone serves the previous release and the present one in turn: every acknowledged record exactly once, nothing else",
			how: fmt.Sprintf("%d starts, each of the other release, the third and fourth of them ended by SIGKILL; after the uploads of each all pages of /api/v1/telemetry", usesOfDirectory)}}, nil
}

// useInTurn starts one release after the other on the directory, has it take uploads, and compares its whole history.
func (d *directory) useInTurn(ctx context.Context, seed uint64) {
	work := newWorkload(seed)
	for n := range usesOfDirectory {
		now := d.first
		if n%2 == 1 {
			now = d.present
		}
		err := d.useOnce(ctx, now, work, n%4 >= 2)
		if ctx.Err() != nil {
			d.proc.kill()
			return
		}
		if err != nil {
			d.kept.addFailure("use %d, by %s: %v", n+1, now.name, err)
		}
	}
}

// useOnce starts a release, uploads, compares, and ends the process: in order or by a kill.
func (d *directory) useOnce(ctx context.Context, now release, work *workload, killed bool) error {
	d.proc.setProgram(now.program("standalone"))
	if err := d.proc.startProcess(); err != nil {
		return err
	}
	defer d.proc.kill()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := &http.Client{Timeout: 15 * time.Second}
	if err := awaitOK(ctx, client, d.admin+"/ready"); err != nil {
		return err
	}
	up := &uploader{bases: []string{d.uploads}, ledger: d.ledger, client: client}
	for range uploadsToEachUse {
		next := work.nextUpload()
		next.cutAt = 0
		if up.sendUpload(ctx, next) == "" {
			return fmt.Errorf("upload %s was not acknowledged", next.name)
		}
	}
	acked, newest := d.ledger.copyAcknowledged()
	answered, err := history(ctx, client, newest, d.queries)
	if err != nil {
		return err
	}
	d.kept.addVerdicts(checkRecords("standalone of "+now.name, answered, d.ledger.copySent(), acked))
	if killed {
		return nil
	}
	return d.proc.stopProcess()
}

// verdict returns the result, with the answers that break the promises and the ends that nobody asked for.
func (d *directory) verdict() verdict {
	for _, w := range d.ledger.wrong {
		d.kept.addFailure("%s", w)
	}
	for _, e := range d.proc.unexpected() {
		d.kept.addFailure("standalone ended by itself after %s: %s (%s)", e.ran, e.how, e.log)
	}
	return d.kept
}
