package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

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
	Zone    string // of times that name none
}

// processor takes uploads in, for a request or a job.
type processor interface {
	// Enter takes one of the places for uploads when the log can take more. The caller leaves it.
	Enter(ctx context.Context, p pipeline.Parameters) (leave func(), err error)
	// Process takes in the files of a source and completes the outcome.
	Process(ctx context.Context, src intake.Source, p pipeline.Parameters, o *answer.Outcome)
	// AwaitVisible waits until the records of an upload are visible, and notes it in the outcome if they are not in time.
	AwaitVisible(o *answer.Outcome)
	// Record counts and logs an upload that ended with a status.
	Record(o *answer.Outcome, status int)
}

// Background processes uploads that are in the spool, a bounded number at a time, each in a goroutine of its
// own that ends with it. The spool is opened when it is first wanted, and tried again as long as that fails,
// so that a server without one serves everything else.
type Background struct {
	cfg     Config
	states  *uploads.Registry
	uploads processor
	lg      *slog.Logger

	slots *semaphore.Weighted // among the jobs; each takes a place for uploads besides
	ctx   context.Context     // ends when jobs are to stop
	stop  context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	opened  *spool.Spool
	trouble error // why there is no spool
	ended   bool
	jobs    sync.WaitGroup
}

// New returns a Background that has uploads processed by up and publishes their states.
func New(cfg Config, states *uploads.Registry, up processor, lg *slog.Logger) *Background {
	b := &Background{cfg: cfg, states: states, uploads: up, lg: lg, slots: semaphore.NewWeighted(int64(cfg.Workers))}
	b.ctx, b.stop = context.WithCancelCause(context.Background())
	return b
}

// openSpool returns the spool. The first call that opens it resumes the uploads in it.
func (b *Background) openSpool() (*spool.Spool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return nil, answer.Stopping()
	case b.opened != nil:
		return b.opened, nil
	}
	opened, err := spool.Open(b.cfg.Spool)
	if b.trouble = err; err != nil {
		return nil, spoolUnusable(err)
	}
	b.opened = opened
	for _, e := range opened.Found() {
		b.adopt(e)
	}
	return opened, nil
}

// Open opens the upload directory, unless it is open, and resumes the uploads in it.
func (b *Background) Open() error {
	_, err := b.openSpool()
	return err
}

// adopt takes over an upload that an earlier process left.
func (b *Background) adopt(e *spool.Entry) {
	if log := b.states.Log(); e.Damage == nil && e.Log != log {
		b.lg.Warn("an upload in the upload directory is for another log and stays there; a server of that log with this "+
			"directory takes it up, and removing it by hand drops it", "upload", e.ID, "dir", b.cfg.Spool.Dir, "log", e.Log, "ours", log)
		return
	}
	b.jobs.Go(func() { b.resume(e) })
}

// Start processes an upload that has just come. When the server is stopping, the next process finds it.
func (b *Background) Start(j *Job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.jobs.Go(func() { b.run(j) })
	}
}

// resume goes on with an upload of an earlier process, unless that had only not come to remove it.
func (b *Background) resume(e *spool.Entry) {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	last, err := b.states.Get(ctx, e.ID)
	cancel()
	if err == nil && last.State.Final() {
		b.remove(e)
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
	b.lg.Info("going on with an upload of an earlier process", "upload", e.ID, "attempts", last.Attempts)
	b.run(j)
}

// storeFinalState brings a final state to etcd, then takes the upload off the disk: in this order, since an upload
// whose state is not final is looked for there.
func (b *Background) storeFinalState(j *Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	if err := j.handle.Stored(ctx); err != nil {
		b.lg.Warn("the state of an upload is not in etcd yet", "upload", j.entry.ID, "err", err)
	}
	b.remove(j.entry)
}

func (b *Background) remove(e *spool.Entry) {
	if err := e.Remove(); err != nil {
		b.lg.Error("removing an upload from the upload directory; remove it by hand", "upload", e.ID, "err", err)
	}
}

// End stops the jobs, which the next process resumes, and closes the spool.
func (b *Background) End() {
	b.mu.Lock()
	b.ended = true
	opened := b.opened
	b.opened = nil
	b.mu.Unlock()
	b.stop(answer.Stopping())
	b.jobs.Wait()
	if opened == nil {
		return
	}
	if err := opened.Close(); err != nil {
		b.lg.Warn("giving the upload directory back", "err", err)
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

// Condition returns the status of the spool.
func (b *Background) Condition() SpoolStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := SpoolStatus{Dir: b.cfg.Spool.Dir, MaxBytes: b.cfg.Spool.MaxBytes, MaxUploads: b.cfg.Spool.Uploads}
	if b.trouble != nil {
		st.Error = b.trouble.Error()
	}
	if b.opened != nil {
		st.Uploads, st.Bytes = b.opened.Usage()
	}
	return st
}
