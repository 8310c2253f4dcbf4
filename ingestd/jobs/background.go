package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"telemetry-pipeline/events/trace"
	"telemetry-pipeline/ingestd/answer"
	"telemetry-pipeline/ingestd/intake"
	"telemetry-pipeline/ingestd/pipeline"
	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// Config sets where uploads in the background are kept and how many of them are processed at a time.
type Config struct {
	Spool   spool.Config
	Workers int
	Zone    string        // of times that name none
	Tracer  *trace.Tracer // records the uploads that were sent in sampled requests; nil: none
}

// processor takes uploads in, for a request or a job.
type processor interface {
	// AcquireSlot takes one of the slots for uploads if the log can take more. The caller releases it by leave.
	AcquireSlot(ctx context.Context, p pipeline.Parameters) (leave func(), err error)
	// ProcessUpload takes in the files of a source and completes the outcome.
	ProcessUpload(ctx context.Context, src intake.Source, p pipeline.Parameters, o *answer.Outcome)
	// AwaitVisible waits until the records of an upload are visible, and notes it in the outcome if they are not in time.
	AwaitVisible(request context.Context, o *answer.Outcome)
	// RecordUpload counts and logs an upload that ended with a status.
	RecordUpload(ctx context.Context, o *answer.Outcome, status int)
	// RecordEnd records the end of an upload in the background, of an owner, "" for nobody.
	RecordEnd(o *answer.Outcome, owner string)
}

// Background processes uploads that are in the spool, a bounded number at a time, each in a goroutine of its
// own that ends with it. The spool is opened when it is first wanted, and tried again as long as that fails,
// so that a server without one serves everything else.
type Background struct {
	cfg     Config
	states  *uploads.Registry
	uploads processor
	lg      *slog.Logger

	turns  *turns          // among the jobs; each takes a slot for uploads besides
	ctx    context.Context // ends when jobs are to stop
	cancel context.CancelCauseFunc

	mu      sync.Mutex // guards the fields below
	spool   *spool.Spool
	openErr error // why there is no spool
	closed  bool
	jobs    sync.WaitGroup
}

// New returns a Background that has uploads processed by up and publishes their states.
func New(cfg Config, states *uploads.Registry, up processor, lg *slog.Logger) *Background {
	b := &Background{cfg: cfg, states: states, uploads: up, lg: lg, turns: newTurns(cfg.Workers)}
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	return b
}

// ensureSpool returns the spool. The first call that opens it resumes the uploads in it.
func (b *Background) ensureSpool() (*spool.Spool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return nil, answer.ServerStopping()
	case b.spool != nil:
		return b.spool, nil
	}
	opened, err := spool.Open(b.cfg.Spool)
	if b.openErr = err; err != nil {
		return nil, spoolUnusable(err)
	}
	b.spool = opened
	for _, e := range opened.Entries() {
		b.adoptEntry(e)
	}
	return opened, nil
}

// OpenSpool opens the upload directory, unless it is open, and resumes the uploads in it.
func (b *Background) OpenSpool() error {
	_, err := b.ensureSpool()
	return err
}

// adoptEntry takes over an upload that an earlier process left.
func (b *Background) adoptEntry(e *spool.Upload) {
	if log := b.states.Log(); e.Damage == nil && e.Log != log {
		b.lg.Warn("an upload in the upload directory is for another log and stays there; a server of that log with this "+
			"directory takes it up, and removing it by hand drops it", "upload", e.ID, "dir", b.cfg.Spool.Dir, "log", e.Log, "ours", log)
		return
	}
	b.jobs.Go(func() { b.resumeEntry(e) })
}

// StartJob processes an upload that has just come, in a trace that links to the request's. When the server is stopping, the next
// process finds it, and does not know the trace.
func (b *Background) StartJob(request context.Context, j *Job) {
	if from := trace.ContextOf(request); !from.IsZero() {
		j.causes = append(j.causes, from)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.jobs.Go(func() { b.runJob(j) })
	}
}

// resumeEntry resumes an upload of an earlier process, or only removes it if its state is final.
func (b *Background) resumeEntry(e *spool.Upload) {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	last, err := b.states.Get(ctx, e.ID)
	cancel()
	if err == nil && last.State.Final() {
		b.removeEntry(e)
		return
	}
	j := b.newJob(e, uploads.Upload{Attempts: last.Attempts})
	if e.Damage != nil {
		j.handle.Change(func(u *uploads.Upload) {
			u.State, u.Code = uploads.Failed, answer.CodeSpoolDamaged
			u.Error = "the upload directory lost it: " + e.Damage.Error() + "; send it again"
		})
		b.storeFinalState(j)
		return
	}
	b.lg.Info("resuming an upload of an earlier process", "upload", e.ID, "attempts", last.Attempts)
	b.runJob(j)
}

// storeFinalState brings a final state to etcd, then takes the upload off the disk: in this order, since an upload
// whose state is not final is looked for there.
func (b *Background) storeFinalState(j *Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	if err := j.handle.WaitStored(ctx); err != nil {
		b.lg.Warn("the state of an upload is not in etcd yet", "upload", j.entry.ID, "err", err)
	}
	b.removeEntry(j.entry)
}

func (b *Background) removeEntry(e *spool.Upload) {
	if err := e.Remove(); err != nil {
		b.lg.Error("removing an upload from the upload directory; remove it by hand", "upload", e.ID, "err", err)
	}
}

// Close stops the jobs, which the next process resumes, and closes the spool.
func (b *Background) Close() {
	b.mu.Lock()
	b.closed = true
	opened := b.spool
	b.spool = nil
	b.mu.Unlock()
	b.cancel(answer.ServerStopping())
	b.jobs.Wait()
	if opened == nil {
		return
	}
	if err := opened.Close(); err != nil {
		b.lg.Warn("closing the upload directory", "err", err)
	}
}

// SpoolStatus describes the uploads with async=true and the directory that keeps them.
type SpoolStatus struct {
	Dir        string `json:"dir"`
	Uploads    int    `json:"uploads"` // waiting or being processed
	Bytes      int64  `json:"bytes"`   // of them, and of those with strict=true
	MaxUploads int    `json:"max_uploads"`
	MaxBytes   int64  `json:"max_bytes"`
	Error      string `json:"error,omitempty"` // why the directory cannot be used
}

// SpoolStatus returns the status of the spool.
func (b *Background) SpoolStatus() SpoolStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := SpoolStatus{Dir: b.cfg.Spool.Dir, MaxBytes: b.cfg.Spool.MaxBytes, MaxUploads: b.cfg.Spool.Uploads}
	if b.openErr != nil {
		st.Error = b.openErr.Error()
	}
	if b.spool != nil {
		st.Uploads, st.Bytes = b.spool.Usage()
	}
	return st
}
