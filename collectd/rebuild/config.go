package rebuild

import (
	"errors"
	"flag"
	"time"
)

// Config says what a rebuild is to do. The zero value makes a generation, or finds the one being built, and looks on
// until it is complete.
type Config struct {
	Compare  bool // tell every difference to the active generation once it is complete
	Activate bool // it is to become active: after a comparison that found nothing, if that is asked for
	Detach   bool // do not look on
	New      bool // give up one that is being built already, and begin anew
	Abandon  bool // give up one that is being built, and that is all
}

// Flags registers the flags compare, activate, detach, new and abandon.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.BoolVar(&c.Compare, "compare", c.Compare,
		"tell every difference between the new generation and the active one, both at one position of the log; exit code 1 when there is any")
	fs.BoolVar(&c.Activate, "activate", c.Activate,
		"make the new generation the active one once it is complete (with -compare: if there is no difference), and remove the old one")
	fs.BoolVar(&c.Detach, "detach", c.Detach, "do not look on: collectors do the rest; run it again to see how far they are")
	fs.BoolVar(&c.New, "new", c.New, "give up a generation that is being built already, and begin anew")
	fs.BoolVar(&c.Abandon, "abandon", c.Abandon, "give up the generation that is being built, and make no other")
}

func (c Config) check() error {
	switch {
	case c.Detach && c.Compare:
		return errors.New("-detach does not go with -compare, which waits for the new generation")
	case c.Abandon && (c.New || c.Compare || c.Activate):
		return errors.New("-abandon goes with no other flag but -detach")
	}
	return nil
}

const (
	lookEvery = 500 * time.Millisecond // how often it looks how far the generation is
	tellEvery = 2 * time.Second        // how often that is told where lines cannot be rewritten
	stallTime = 30 * time.Second       // without anything folded, until it asks whether there are collectors
)
