package ingest

import (
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/projections/snapshot"
)

// rowOf returns a file of one row.
func rowOf(host string) []byte {
	return []byte("timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n" +
		`"2025-07-18T20:42:34Z","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-aaaa","H100","` + host + `","","","","1",""` + "\n")
}

// newQuarantined returns an entry of an event of a host.
func newQuarantined(log *pipelinetest.Recorder, host events.HostID) snapshot.Quarantined {
	at := events.Revision{Number: 7}
	return snapshot.Quarantined{
		ID: snapshot.EntryIDOf("k", at), Partition: events.PartitionOf(host, log.Facts().Partitions), Key: "k", Revision: at, Host: host,
		Reason: "unfoldable", Text: "folding it panicked", Records: 3, Partial: true,
	}
}

// An upload that waits is answered with its events that could not be folded: everything is stored, and not all of it is
// in the views.
func TestWaitReportsQuarantinedEvents(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{WaitTimeout: 50 * time.Millisecond}, log, log)
	log.Quarantine(newQuarantined(log, "a"), newQuarantined(log, "never-folded"))
	sum := newQuarantined(log, "counted")
	sum.ID, sum.Events, sum.Partial = snapshot.SummaryID(sum.Reason), 40, false
	log.Quarantine(sum)
	for host, want := range map[string]string{
		"a": `200
{"success": true, "status": "quarantined", "accepted": 1, "quarantined_events": 1, "quarantined_records": 3, "quarantined": [{
"key": "k", "reason": "unfoldable", "text": "folding it panicked", "records": 3, "partial": true, "entry": "` + newQuarantined(log, "a").ID.String() + `"}],
"warnings": ["/^everything is stored, but some of it, 1 events, could not be folded: unfoldable: folding it panicked/"]}`,
		"counted": `200
{"success": true, "status": "quarantined", "quarantined": [{"events": 40, "entry": "` + sum.ID.String() + `"}], "warnings": ["/may be among those/"]}`,
		"b": `200
{"success": true, "status": "processed", "warnings": []}`,
		"never-folded": `202
{"success": true, "status": "stored"}`,
	} {
		got := postFile(t, s, "?wait=true", rowOf(host))
		compareResponse(t, host, got, want)
		if host == "b" && strings.Contains(got.body, "quarantine") {
			t.Errorf("the answer of an upload that is folded: %s", got.body)
		}
	}
}

// Who asks for an upload later is answered with its events that could not be folded until then, whether it had waited or
// not.
func TestTheStateOfAnUploadReportsQuarantinedEvents(t *testing.T) {
	t.Parallel()
	log := pipelinetest.NewRecorder()
	s := startServer(t, Config{Spool: spool.Config{Dir: t.TempDir()}}, log, log)
	path := postAsync(t, s, "", rowOf("a"))
	if u := awaitFinal(t, s, path); u.QuarantinedEvents != 0 || receiptOf(t, u).Status != answer.StatusProcessed {
		t.Errorf("before anything is in the quarantine: %+v", u)
	}
	log.Quarantine(newQuarantined(log, "a"))
	u := stateOf(t, s, path)
	if u.QuarantinedEvents != 1 || u.QuarantinedRecords != 3 || len(u.Quarantined) != 1 || u.Quarantined[0].Reason != "unfoldable" {
		t.Errorf("the state of the upload: %+v, want the entry", u.Quarantine)
	}
	if got := getPath(t, s, path+"/events"); !strings.Contains(got.body, `"quarantined_events":1`) {
		t.Errorf("the last event of the upload: %s", got.body)
	}
	u = awaitFinal(t, s, postAsync(t, s, "&wait=true", rowOf("a")))
	if rec := receiptOf(t, u); rec.Status != answer.StatusQuarantined || rec.QuarantinedEvents != 1 {
		t.Errorf("the receipt of an upload that waited: %s", u.Receipt)
	}
}
