package collect

import "time"

// slowestPace bounds how far load may stretch the pause between two writes of one host's live model.
const slowestPace = time.Second

// pace is the pause between two writes of one host's live model: the configured one while etcd is
// quick, longer while commits take long, so that live writes stay a fraction of what etcd bears.
type pace struct {
	floor, interval time.Duration
	commit          time.Duration // moving average of a commit's time
}

func newPace(floor time.Duration) *pace { return &pace{floor: floor, interval: floor} }

// observe takes in how long a commit took.
func (p *pace) observe(took time.Duration) {
	p.commit += (took - p.commit) / 8
	p.interval = min(max(p.floor, 4*p.commit), max(p.floor, slowestPace))
}
