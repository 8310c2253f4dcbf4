package collect

import "time"

// maxLiveInterval bounds the pause between two writes of one host's live model under load.
const maxLiveInterval = time.Second

// adaptiveInterval is the pause between two writes of one host's live model: the configured one while etcd is fast,
// longer while commits are slow, so that live writes take a bounded share of etcd's time.
type adaptiveInterval struct {
	floor, current time.Duration
	commit         time.Duration // moving average of a commit's duration
}

func newAdaptiveInterval(floor time.Duration) *adaptiveInterval {
	return &adaptiveInterval{floor: floor, current: floor}
}

// observeCommit adjusts the interval to the duration of a commit.
func (p *adaptiveInterval) observeCommit(took time.Duration) {
	p.commit += (took - p.commit) / 8
	p.current = min(max(p.floor, 4*p.commit), max(p.floor, maxLiveInterval))
}
