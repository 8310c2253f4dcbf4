package jobs

import (
	"errors"
	"os"
	"testing"

	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/spool"
)

func TestSpoolErrorsAreDistinguished(t *testing.T) {
	other := errors.New("of the sender")
	if got := refuseSpool(other); got != other {
		t.Errorf("an error of the sender became %v", got)
	}
	if r := answer.RefusalOf(refuseSpool(&spool.WriteError{Err: spool.ErrDiskFull})); r.Status != 507 || r.Code != answer.CodeDiskFull || r.RetryAfter == 0 {
		t.Errorf("a full disk is %+v", r)
	}
	if r := answer.RefusalOf(refuseSpool(&spool.WriteError{Err: os.ErrPermission})); r.Status != 503 || r.Code != answer.CodeSpoolUnusable {
		t.Errorf("a disk that takes no writes is %+v", r)
	}
}
