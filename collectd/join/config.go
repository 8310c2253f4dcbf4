package join

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"telemetry-pipeline/events/filter"
)

// Config selects the hosts and their node. Only Hosts and Node have no default.
type Config struct {
	Hosts  filter.Patterns
	Node   string
	DryRun bool // counts, and appends nothing
	Size   int  // percent of etcd's quota in use from which to wait; default 60
}

const (
	defaultSize = 60  // uploads are slowed down from there on
	maxNodeName = 253 // bytes, as of the names in uploads
)

// Flags registers the flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.Var(&c.Hosts, "host", "hosts to join to the node; several between commas, * and ? stand for any text and any letter")
	fs.StringVar(&c.Node, "node", "", "host that they are joined to")
	fs.BoolVar(&c.DryRun, "dry-run", false, "show the events that would be joined, and append nothing")
	fs.IntVar(&c.Size, "size", defaultSize, "percent of etcd's quota in use from which to wait until events have left etcd")
}

// Check returns an error for settings that make no sense, by the name of the flag.
func (c *Config) Check() error {
	switch {
	case len(c.Hosts) == 0:
		return errors.New("name the hosts to join with -host")
	case strings.TrimSpace(c.Node) == "":
		return errors.New("name the host that they are joined to with -node")
	case len(c.Node) > maxNodeName || !utf8.ValidString(c.Node) || strings.ContainsFunc(c.Node, unicode.IsControl) || strings.ContainsAny(c.Node, "*?"):
		return fmt.Errorf("-node %.64q is no name of a host", c.Node)
	case slices.Contains(c.Hosts, c.Node):
		return fmt.Errorf("host %s cannot be joined to itself", c.Node)
	case c.Size < 0 || c.Size > 100:
		return errors.New("-size is a percentage")
	}
	return nil
}

// sizeShare returns the share of etcd's quota in use from which to wait.
func (c *Config) sizeShare() float64 { return float64(cmp.Or(c.Size, defaultSize)) / 100 }
