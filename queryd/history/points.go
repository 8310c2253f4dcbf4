package history

import "sync"

// pointCount bounds the points of several hosts that are in memory. It is safe for concurrent use.
type pointCount struct {
	mu     sync.Mutex
	points int
	most   int
}

// add adds points, and reports whether they are not too many.
func (c *pointCount) add(points int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.points += points
	return c.points <= c.most
}

// hostPoints counts the points of one host. The zero value has no bound. It is used by one goroutine at a time.
type hostPoints struct {
	total  *pointCount                           // of all hosts; nil: no bound
	points int                                   // of the host, in total
	check  func(key seriesKey, points int) error // of a series that has grown to so many points; nil: no check
}

// addPoints adds points. It returns ErrPoints if all hosts have too many.
func (p *hostPoints) addPoints(points int) error {
	if p.total == nil || points == 0 {
		return nil
	}
	p.points += points
	if !p.total.add(points) {
		return ErrPoints
	}
	return nil
}

// addSeries adds the points by which a series has grown from one number of them to another.
func (p *hostPoints) addSeries(key seriesKey, from, to int) error {
	if err := p.addPoints(to - from); err != nil || p.check == nil {
		return err
	}
	return p.check(key, to)
}

// reset takes the host's points back.
func (p *hostPoints) reset() {
	if p.total != nil {
		p.total.add(-p.points)
		p.points = 0
	}
}
