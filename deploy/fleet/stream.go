package fleet

import (
	"sync"
	"time"
)

// Stream is an endless sequence of uploads of a fleet whose hosts report at a steady interval. Upload n is of sender n
// modulo Senders, in the interval n divided by it. The same fleet makes the same readings at any times. Its
// methods may be called from several goroutines.
type Stream struct {
	cfg     StreamConfig
	senders int64

	mu     sync.Mutex
	fleet  *Fleet
	frames []*Frame // of the intervals up to now; old ones are nil
}

// StreamConfig describes a stream.
type StreamConfig struct {
	HostsPerUpload int
	Every          time.Duration // between two uploads of a sender
	Began          time.Time     // the time of the readings of upload 0
	Step           time.Duration // between the times of a sender's readings; Every if it is 0
}

// keptFrames is how many intervals an upload may be late.
const keptFrames = 120

// NewStream makes a stream. The fleet belongs to it from then on.
func NewStream(f *Fleet, cfg StreamConfig) *Stream {
	if cfg.Step == 0 {
		cfg.Step = cfg.Every
	}
	return &Stream{cfg: cfg, senders: int64((f.Hosts() + cfg.HostsPerUpload - 1) / cfg.HostsPerUpload), fleet: f}
}

// Senders returns the number of uploads in an interval.
func (s *Stream) Senders() int64 { return s.senders }

// Pause returns the time between two uploads, when they are spread over the interval.
func (s *Stream) Pause() time.Duration { return s.cfg.Every / time.Duration(s.senders) }

// Uploads returns the number of uploads in a time, of whole intervals and of one at least.
func (s *Stream) Uploads(during time.Duration) int64 {
	return s.senders * max(1, int64(during/s.cfg.Every))
}

// frame returns the readings of an interval.
func (s *Stream) frame(number int64) *Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	for int64(len(s.frames)) <= number {
		s.frames = append(s.frames, s.fleet.Advance())
		if old := len(s.frames) - 1 - keptFrames; old >= 0 {
			s.frames[old] = nil
		}
	}
	return s.frames[number]
}

// AppendUpload appends the n-th upload, in the text format of Prometheus.
func (s *Stream) AppendUpload(text []byte, n int64) []byte {
	frame := s.frame(n / s.senders)
	first := int(n%s.senders) * s.cfg.HostsPerUpload
	at := s.cfg.Began.Add(time.Duration(n) * (s.cfg.Step / time.Duration(s.senders)))
	for host := first; host < min(first+s.cfg.HostsPerUpload, s.fleet.Hosts()); host++ {
		text = frame.AppendScrape(text, host, at)
	}
	return text
}
