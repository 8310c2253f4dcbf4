package ingest

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"telemetry-pipeline/ingestd/spool"
	"telemetry-pipeline/ingestd/uploads"
)

// background processes uploads that are in the spool, a bounded number at a time, each in a goroutine of its
// own that ends with it. The spool is opened when it is first wanted, and tried again as long as that fails,
// so that a server without one serves everything else.
type background struct {
	s     *Server
	cfg   spool.Config
	slots *semaphore.Weighted // among the jobs; each takes a place at the gate besides
	ctx   context.Context     // ends when jobs are to stop
	stop  context.CancelCauseFunc

	mu      sync.Mutex // guards what follows
	opened  *spool.Spool
	trouble error // why there is no spool
	ended   bool
	jobs    sync.WaitGroup
}

func newBackground(s *Server, cfg spool.Config, workers int) *background {
	b := &background{s: s, cfg: cfg, slots: semaphore.NewWeighted(int64(workers))}
	b.ctx, b.stop = context.WithCancelCause(context.Background())
	return b
}

// room gives the spool. When that has just been opened, what is in it is gone on with.
func (b *background) room() (*spool.Spool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended:
		return nil, stopping()
	case b.opened != nil:
		return b.opened, nil
	}
	opened, err := spool.Open(b.cfg)
	if b.trouble = err; err != nil {
		return nil, noSpool(err)
	}
	b.opened = opened
	for _, e := range opened.Found() {
		b.adopt(e)
	}
	return opened, nil
}

// adopt takes over an upload that an earlier process left.
func (b *background) adopt(e *spool.Entry) {
	if log := b.s.states.Log(); e.Damage == nil && e.Log != log {
		b.s.lg.Warn("an upload in the upload directory is for another log and stays there; a server of that log with this "+
			"directory takes it up, and removing it by hand drops it", "upload", e.ID, "dir", b.cfg.Dir, "log", e.Log, "ours", log)
		return
	}
	b.jobs.Go(func() { b.resume(e) })
}

// start processes an upload that has just come. When the server is stopping, the next process finds it.
func (b *background) start(j *job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.jobs.Go(func() { b.run(j) })
	}
}

// resume goes on with an upload of an earlier process, unless that had only not come to remove it.
func (b *background) resume(e *spool.Entry) {
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second)
	last, err := b.s.states.Get(ctx, e.ID)
	cancel()
	if err == nil && last.State.Final() {
		b.remove(e)
		return
	}
	j := b.s.newJob(e, uploads.Upload{Attempts: last.Attempts})
	if e.Damage != nil {
		j.handle.Change(func(u *uploads.Upload) {
			u.State, u.Code = uploads.Failed, codeSpoolDamaged
			u.Error = "the upload directory lost it: " + e.Damage.Error() + "; send it again"
		})
		b.settled(j)
		return
	}
	b.s.lg.Info("going on with an upload of an earlier process", "upload", e.ID, "attempts", last.Attempts)
	b.run(j)
}

// settled brings a final state to etcd, then takes the upload off the disk: in this order, since an upload
// whose state is not final is looked for there.
func (b *background) settled(j *job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 5*time.Second)
	defer cancel()
	if err := j.handle.Stored(ctx); err != nil {
		b.s.lg.Warn("the state of an upload is not in etcd yet", "upload", j.entry.ID, "err", err)
	}
	b.remove(j.entry)
}

func (b *background) remove(e *spool.Entry) {
	if err := e.Remove(); err != nil {
		b.s.lg.Error("removing an upload from the upload directory; remove it by hand", "upload", e.ID, "err", err)
	}
}

// end stops the jobs, which the next process goes on with, and gives the spool back.
func (b *background) end() {
	b.mu.Lock()
	b.ended = true
	opened := b.opened
	b.opened = nil
	b.mu.Unlock()
	b.stop(stopping())
	b.jobs.Wait()
	if opened == nil {
		return
	}
	if err := opened.Close(); err != nil {
		b.s.lg.Warn("giving the upload directory back", "err", err)
	}
}

// condition is what status tells of the spool.
func (b *background) condition() spoolStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := spoolStatus{Dir: b.cfg.Dir, MaxBytes: b.cfg.MaxBytes, MaxUploads: b.cfg.Uploads}
	if b.trouble != nil {
		st.Error = b.trouble.Error()
	}
	if b.opened != nil {
		st.Uploads, st.Bytes = b.opened.Usage()
	}
	return st
}
