package rebuild

import (
	"errors"
	"flag"
	"time"
)

// Config sets the steps of a rebuild. The zero value makes a generation, or finds the one being built, and follows it
// until it is complete.
type Config struct {
	Compare  bool // report every difference to the active generation once it is complete
	Activate bool // make it active, with Compare only if there is no difference
	Detach   bool // return without waiting
	New      bool // retire one that is being built already, and begin again
	Abandon  bool // retire one that is being built, and stop
}

// Flags registers the flags compare, activate, detach, new and abandon.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Compare, "compare", c.Compare,
		"report every difference between the new generation and the active one, both at one position of the log; exit code 1 when there is any")
	fs.BoolVar(&c.Activate, "activate", c.Activate,
		"make the new generation the active one once it is complete (with -compare: if there is no difference), and remove the old one")
	fs.BoolVar(&c.Detach, "detach", c.Detach, "do not look on: collectors do the rest; run it again to see how far they are")
	fs.BoolVar(&c.New, "new", c.New, "give up a generation that is being built already, and begin again")
	fs.BoolVar(&c.Abandon, "abandon", c.Abandon, "give up the generation that is being built, and make no other")
}

func (c Config) validate() error {
	switch {
	case c.Detach && c.Compare:
		return errors.New("-detach does not go with -compare, which waits for the new generation")
	case c.Abandon && (c.New || c.Compare || c.Activate):
		return errors.New("-abandon goes with no other flag but -detach")
	}
	return nil
}

const (
	pollEvery  = 500 * time.Millisecond // interval of reading the generation's progress
	printEvery = 2 * time.Second        // interval of progress lines where lines cannot be rewritten
	stallTime  = 30 * time.Second       // time without anything folded until a line asks for collectors
)
