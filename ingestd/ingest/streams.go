package ingest

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Streams bound live streams: bodies that are a file themselves and come in chunks without a length, such as
// that of curl -T -. Their rows are appended as they arrive. The zero value of each field means its default.
type Streams struct {
	Most      int           // served at a time, besides uploads of known length; default 16
	Size      int64         // bytes of one stream; default: as of an upload. Negative: no bound
	Idle      time.Duration // for which a stream may be silent; default 1h
	BatchSize int           // records that wait no longer once the sender pauses; default 100
	Interval  time.Duration // for which a record waits at most while the sender does; default 1s
}

func (l *Streams) flags(fs *flag.FlagSet) {
	d := l.withDefaults()
	fs.IntVar(&l.Most, "ingest.streams", d.Most, "live streams (bodies in chunks without a length) served at a time, besides ingest.uploads; "+
		"each takes up to max-memory / ingest.uploads on top of max-memory")
	fs.Int64Var(&l.Size, "ingest.stream-size", d.Size, "most bytes of a live stream; 0 means max-upload-size, a negative number no bound")
	fs.DurationVar(&l.Idle, "ingest.stream-idle", d.Idle, "how long a live stream may stay silent")
	fs.IntVar(&l.BatchSize, "batch-size", d.BatchSize, "records of a live stream that are appended as soon as its sender pauses")
	fs.DurationVar(&l.Interval, "stream-interval", d.Interval, "how long a record of a live stream waits for others before it is appended")
}

func (l Streams) withDefaults() Streams {
	l.Most = cmp.Or(l.Most, 16)
	l.Idle = cmp.Or(l.Idle, time.Hour)
	l.BatchSize = cmp.Or(l.BatchSize, 100)
	l.Interval = cmp.Or(l.Interval, time.Second)
	return l
}

func (l Streams) check() error {
	for _, p := range []struct {
		name  string
		value int64
	}{
		{"ingest.streams", int64(l.Most)},
		{"ingest.stream-idle", int64(l.Idle)},
		{"batch-size", int64(l.BatchSize)},
		{"stream-interval", int64(l.Interval)},
	} {
		if p.value < 0 {
			return fmt.Errorf("flag %s is %d; it must be positive", p.name, p.value)
		}
	}
	return nil
}

// size is the bound of a stream where an upload's is so many bytes.
func (l Streams) size(upload int64) int64 {
	if l.Size < 0 {
		return math.MaxInt64
	}
	return cmp.Or(l.Size, upload)
}

// isLive tells that a body may still be being written: it comes in chunks, and is no form.
func isLive(c *fiber.Ctx, p parameters) bool {
	const chunked = -1
	return c.Request().Header.ContentLength() == chunked && !isForm(c) && !p.async && !p.strict
}

// liven makes of a body one that may be silent for long and as slow as it likes.
func (l Streams) liven(b *body, upload int64) {
	b.live = true
	b.patience, b.minRate, b.limit = l.Idle, 0, l.size(upload)
	b.tooLarge = refuse(fiber.StatusRequestEntityTooLarge, codeTooLarge,
		"the stream has brought %d bytes, the most that this server takes of one; send what follows in another, "+
			"or raise the flag ingest.stream-size", b.limit)
}

// quiet is how long a sender says nothing when it pauses. Between two packets of a file on its way it is less.
const quiet = 10 * time.Millisecond

// pace cuts the events of a live stream while its sender is waited for. While there is more to read, records
// wait for their event to become as large as in any file. Only the sequencing stage uses it. Nil never cuts.
type pace struct {
	limits  Streams
	sender  *body
	timer   *time.Timer
	pending int64         // records that were taken since the last cut
	since   time.Time     // the first of them
	waited  time.Duration // for the sender, until then
}

func newPace(limits Streams, sender *body) *pace {
	p := &pace{limits: limits, sender: sender, timer: time.NewTimer(time.Hour)}
	p.timer.Stop()
	return p
}

// due gives a time when it is worth looking whether to cut.
func (p *pace) due() <-chan time.Time {
	if p == nil {
		return nil
	}
	return p.timer.C
}

// took counts records that wait to be cut into events.
func (p *pace) took(records int64) {
	if p == nil || records == 0 {
		return
	}
	if p.pending == 0 {
		p.since = time.Now()
		_, p.waited = p.sender.pause()
	}
	p.pending += records
	p.rearm()
}

func (p *pace) rearm() {
	if wait := p.limits.Interval - time.Since(p.since); p.pending < int64(p.limits.BatchSize) && wait > quiet {
		p.timer.Reset(wait)
		return
	}
	p.timer.Reset(quiet)
}

// cuts tells whether to cut now. An interval that has passed does it only when at least half of it was spent
// waiting for the sender, so that a whole file that comes as a stream is not cut into many small events.
func (p *pace) cuts() bool {
	pause, waited := p.sender.pause()
	wait := time.Since(p.since)
	enough := p.pending >= int64(p.limits.BatchSize) && pause >= quiet
	overdue := wait >= p.limits.Interval && (pause >= quiet || waited-p.waited >= wait/2)
	if !enough && !overdue {
		p.rearm()
		return false
	}
	p.pending = 0
	return true
}

// stop lets go of the timer.
func (p *pace) stop() {
	if p != nil {
		p.timer.Stop()
	}
}
