package main

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freePorts finds addresses that are free now, below the ports that systems use for outgoing connections: one of those
// could take the address of a daemon while it is down.
func freePorts(n int) ([]string, error) {
	const from, to = 12000, 32000
	all := make([]string, 0, n)
	for tries := 0; len(all) < n; tries++ {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", from+rand.IntN(to-from)))
		if err == nil {
			defer ln.Close()
			all = append(all, ln.Addr().String())
		} else if tries > 100*n {
			return nil, fmt.Errorf("finding %d free ports between %d and %d: %w", n, from, to, err)
		}
	}
	return all, nil
}
