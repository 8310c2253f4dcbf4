package etcdusers

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Config names the users. Each list is separated by commas.
type Config struct {
	Ingestd  string
	Collectd string
	Queryd   string
	Admin    string // users with the role root, besides the user root

	RootPasswordFile string // password of the user root, if it is created; empty: only a certificate authenticates it
	Enable           bool   // enable authentication
}

// Flags registers the flags.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Ingestd, "ingestd", "ingestd", "users of ingestd: common names of its certificates, comma-separated")
	fs.StringVar(&c.Collectd, "collectd", "collectd", "users of collectd")
	fs.StringVar(&c.Queryd, "queryd", "queryd", "users of queryd")
	fs.StringVar(&c.Admin, "admin", rootUser, "users with every right, for backups and for people; root is always one of them")
	fs.StringVar(&c.RootPasswordFile, "root-password-file", "", "file with a password for the user root, if it is created here; without it only a certificate authenticates root")
	fs.BoolVar(&c.Enable, "enable", false, "enable authentication; every client needs a certificate or a password from then on")
}

// rootUser is the user that etcd requires for authentication, and the name of the role with every right.
const rootUser = "root"

// splitNames returns the names of a list.
func splitNames(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// admins returns the users with the role root.
func (c Config) admins() []string { return splitNames(rootUser + "," + c.Admin) }

// checkNames refuses a daemon without user, and a user that would have the rights of several programs.
func (c Config) checkNames() error {
	seen := map[string]string{}
	for _, g := range []struct {
		role string
		list []string
	}{{rootUser, c.admins()}, {"ingestd", splitNames(c.Ingestd)}, {"collectd", splitNames(c.Collectd)}, {"queryd", splitNames(c.Queryd)}} {
		if len(g.list) == 0 {
			return fmt.Errorf("-%s names no user", g.role)
		}
		for _, name := range g.list {
			if other := seen[name]; other != "" {
				return fmt.Errorf("user %q is named for %s and for %s: each needs a user and a certificate of its own", name, other, g.role)
			}
			seen[name] = g.role
		}
	}
	return nil
}

// readRootPassword returns the password in RootPasswordFile, or "" without a file.
func (c Config) readRootPassword() (string, error) {
	if c.RootPasswordFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(c.RootPasswordFile)
	if err != nil {
		return "", fmt.Errorf("reading the password of root: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", errors.New("reading the password of root: " + c.RootPasswordFile + " is empty")
	}
	return password, nil
}
