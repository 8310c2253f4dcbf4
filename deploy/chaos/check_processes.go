package main

import (
	"fmt"
	"os"
	"strings"
)

func (c *cluster) unexpected() []end {
	var all []end
	for _, d := range c.daemons {
		all = append(all, d.unexpected()...)
	}
	for _, p := range c.etcd {
		all = append(all, p.unexpected()...)
	}
	return all
}

// checkProcesses holds that no process crashed.
func (out *observations) checkProcesses(dir string) verdict {
	v := verdict{promise: "no process panics, and none ends by itself once it has found etcd", how: "exits that nobody asked for, and the logs of all processes"}
	for _, e := range out.ends {
		v.checked++
		if text, err := os.ReadFile(e.log); err != nil || !strings.Contains(string(text), "gave no answer within") {
			v.addFailure("%s ended by itself after %s: %s (%s)", e.name, e.ran, e.how, e.log)
		}
	}
	logs, err := os.ReadDir(dir + "/logs")
	if err != nil {
		v.addFailure("reading the logs: %v", err)
	}
	for _, f := range logs {
		v.checked++
		text, err := os.ReadFile(dir + "/logs/" + f.Name())
		if err != nil {
			v.addFailure("reading a log: %v", err)
		}
		for _, sign := range []string{"panic:", "panicked", "fatal error:", "DATA RACE"} {
			if i := strings.Index(string(text), sign); i >= 0 {
				v.addFailure("%s: %.300s", f.Name(), fmt.Sprintf("%q", text[i:min(len(text), i+250)]))
			}
		}
	}
	return v
}
