package intake

import (
	"cmp"
	"flag"
	"fmt"
	"math"
	"time"

	"telemetry-pipeline/ingestd/answer"
)

// Streams bound live streams: bodies that are a file themselves and come in chunks without a length, such as
// the body of curl -T -. Their rows are appended as they arrive. The zero value of each field means its default.
type Streams struct {
	MaxStreams int           // served at a time, besides uploads of known length; default 16
	Size       int64         // bytes of one stream; default: as of an upload. Negative: no bound
	Idle       time.Duration // for which a stream may be silent; default 1h
	BatchSize  int           // records that wait no longer once the sender pauses; default 100
	Interval   time.Duration // for which a record waits at most while the sender does; default 1s
}

// Flags registers the settings.
func (l *Streams) Flags(fs *flag.FlagSet) {
	d := l.WithDefaults()
	fs.IntVar(&l.MaxStreams, "ingest.streams", d.MaxStreams, "live streams (bodies in chunks without a length) served at a time, besides ingest.uploads; "+
		"each takes as much memory as one of these, on top of max-memory")
	fs.Int64Var(&l.Size, "ingest.stream-size", d.Size, "most bytes of a live stream; 0 means max-upload-size, a negative number no bound")
	fs.DurationVar(&l.Idle, "ingest.stream-idle", d.Idle, "how long a live stream may stay silent")
	fs.IntVar(&l.BatchSize, "batch-size", d.BatchSize, "records of a live stream that are appended as soon as its sender pauses")
	fs.DurationVar(&l.Interval, "stream-interval", d.Interval, "how long a record of a live stream waits for others before it is appended")
}

// WithDefaults returns the settings with defaults in place of zeros.
func (l Streams) WithDefaults() Streams {
	l.MaxStreams = cmp.Or(l.MaxStreams, 16)
	l.Idle = cmp.Or(l.Idle, time.Hour)
	l.BatchSize = cmp.Or(l.BatchSize, 100)
	l.Interval = cmp.Or(l.Interval, time.Second)
	return l
}

// CheckFlags refuses settings with which nothing could work, by the name of the flag.
func (l Streams) CheckFlags() error {
	for _, p := range []struct {
		name  string
		value int64
	}{
		{"ingest.streams", int64(l.MaxStreams)},
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

// MaxBytes returns the bound of a stream where upload is the bound of an upload.
func (l Streams) MaxBytes(upload int64) int64 {
	if l.Size < 0 {
		return math.MaxInt64
	}
	return cmp.Or(l.Size, upload)
}

// applyTo lets a body be silent for long and as slow as it likes. upload is the bound of an upload in bytes.
func (l Streams) applyTo(b *Body, upload int64) {
	b.live = true
	b.readTimeout, b.minRate, b.limit = l.Idle, 0, l.MaxBytes(upload)
	b.tooLarge = answer.Refuse(answer.CodeTooLarge,
		"the stream has brought %d bytes, the most that this server takes of one; send what follows in another, "+
			"or raise the flag ingest.stream-size", b.limit)
}
