package caller

import (
	"errors"
	"flag"
	"fmt"
	"net/url"

	"telemetry-pipeline/events/listen"
)

// TokenVariable is the environment variable of Config.Token.
const TokenVariable = "TOKEN"

// TokenUsage describes the variable to people.
const TokenUsage = "bearer token to send, unless flag token-file names a file with it; it has no flag, since other users of a machine can read command lines"

// Config describes how a client proves who it is, and which servers it trusts. The zero value sends no token and no
// certificate, and trusts the authorities of the system.
type Config struct {
	CA        string // file with the authorities of the server's certificate, PEM; "": the system's
	TokenFile string // file with a bearer token
	Token     string // a bearer token, unless TokenFile is set; no flag sets it
	Cert, Key string // files with a client certificate and its key, PEM
}

// Flags registers the flags ca, token-file, cert and key.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.CA, "ca", c.CA, "file with the certificates of the authorities that sign the server's certificate, in PEM form; empty means the authorities of the system")
	fs.StringVar(&c.TokenFile, "token-file", c.TokenFile,
		"file with the bearer token to send, read again for each request; without it environment variable "+TokenVariable+" can have the token itself")
	fs.StringVar(&c.Cert, "cert", c.Cert, "file with a client certificate, in PEM form")
	fs.StringVar(&c.Key, "key", c.Key, "file with the private key of cert, in PEM form")
}

// checkFlags refuses settings that contradict each other, or that would send a token in the clear to server.
func (c Config) checkFlags(server *url.URL) error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("flags cert and key belong together: set both or neither")
	case c.hasToken() && isPlain(server) && !listen.IsLoopback(server.Hostname()):
		return fmt.Errorf("flag url: the token would cross the network in the clear to %s: write https:// if the server has a certificate, or send no token", server.Hostname())
	}
	return nil
}

func (c Config) hasToken() bool { return c.TokenFile != "" || c.Token != "" }

func isPlain(server *url.URL) bool { return server.Scheme != "https" && server.Scheme != "wss" }
