package access

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"telemetry-pipeline/events/access/issuer"
)

// Config says who may use a process's listeners. The zero Config lets nobody in from other machines, and everybody on this
// one.
type Config struct {
	File   string        // of principals; "" has none
	Issuer issuer.Config // of tokens
	Open   bool          // no credentials are asked for, though other machines reach a listener
	// ClientCertificates says that listeners ask for client certificates, which the file of principals names. It has no flag.
	ClientCertificates bool

	NoCORS         bool   // flag enable-cors=false
	Origins        string // of other sites whose pages may call, comma-separated and exact; default none
	Hosts          string // names besides localhost by which this machine's listeners are called, comma-separated
	TrustedProxies string // addresses and networks whose X-Forwarded-For is believed, comma-separated
	HSTS           bool   // send Strict-Transport-Security over TLS
	Audit          string // file for the audit log; "" writes it to the process's log

	PerPrincipal int     // requests of one principal at a time that query or change something; default 256
	LoginRate    float64 // failed logins of one address per minute; default 60
}

// Flags registers the settings. Their environment variables are ACCESS_FILE for access.file, ENABLE_CORS for enable-cors and so
// on.
func (c *Config) Flags(fs *flag.FlagSet) {
	d := c.withDefaults()
	fs.StringVar(&c.File, "access.file", c.File,
		"file of principals, a JSON object per line as `queryd token new` prints it; it is read again when it changes. Empty has none")
	fs.BoolVar(&c.Open, "access.open", c.Open, "let everybody who reaches a listener do everything, also from other machines")
	c.Issuer.Flags(fs)
	fs.Var((*enabledFlag)(&c.NoCORS), "enable-cors", "let pages of the origins of access.origins read answers; with none of them, of the same origin only")
	fs.StringVar(&c.Origins, "access.origins", c.Origins,
		"origins of other sites whose pages may read, write and open WebSockets, comma-separated and exact such as https://example.org; empty lets none in")
	fs.StringVar(&c.Hosts, "access.hosts", c.Hosts,
		"names besides localhost by which listeners of this machine only may be called, comma-separated")
	fs.StringVar(&c.TrustedProxies, "trusted-proxies", c.TrustedProxies,
		"addresses and networks of proxies whose X-Forwarded-For is believed, comma-separated such as 10.0.0.0/8; empty believes none")
	fs.BoolVar(&c.HSTS, "tls.hsts", c.HSTS, "tell browsers to call this name by TLS only, for a year")
	fs.StringVar(&c.Audit, "access.audit", c.Audit, "file for the audit log, a JSON object per line, kept below 1 GB; empty writes it to the process's log")
	fs.IntVar(&c.PerPrincipal, "access.concurrent", d.PerPrincipal, "requests of one principal, else of one address, that are answered at a time by queryd")
	fs.Float64Var(&c.LoginRate, "access.login-rate", d.LoginRate, "failed logins of one address per minute; more are answered 429")
}

func (c Config) withDefaults() Config {
	c.PerPrincipal = cmp.Or(c.PerPrincipal, 256)
	c.LoginRate = cmp.Or(c.LoginRate, 60)
	return c
}

// Enabled reports whether callers have to say who they are.
func (c Config) Enabled() bool { return c.File != "" || c.Issuer.Enabled() || c.ClientCertificates }

// ErrExposed is the error of a listener that other machines reach, although nobody said who may use it.
var ErrExposed = errors.New("other machines would reach it without credentials")

// CheckExposed returns ErrExposed, with the ways out, if the listener of a flag would be open to other machines unasked;
// loopback says that it is reached from this machine only.
func (g *Guard) CheckExposed(flagName, host string, loopback bool) error {
	if loopback || g.cfg.Enabled() || g.cfg.Open {
		return nil
	}
	return fmt.Errorf(`flag %s is %q: %w. Choose one of:
  -access.file FILE             tokens; "queryd token new" makes one and prints its line for the file
  -oidc.issuer URL              tokens of an OpenID Connect issuer, with -oidc.audience
  -tls.client-ca FILE           client certificates, with -tls.cert, -tls.key and their names in -access.file
  -access.open                  everybody may do everything
or leave the flag empty: then only this machine reaches it`, flagName, host, ErrExposed)
}

// maxLoginRate bounds LoginRate.
const maxLoginRate = 1e6

// checkFlags refuses settings that contradict each other or cannot be read.
func (c Config) checkFlags() error {
	if c.Open && c.Enabled() {
		return errors.New("flag access.open is set together with access.file, oidc.issuer or tls.client-ca; leave it out, or them")
	}
	if c.ClientCertificates && c.File == "" {
		return errors.New("flag tls.client-ca needs -access.file, whose lines say what the holder of each certificate may do")
	}
	if c.PerPrincipal <= 0 || !(c.LoginRate > 0) || c.LoginRate > maxLoginRate { // NaN is none of them
		return fmt.Errorf("flags access.concurrent (%d) and access.login-rate (%g) must be positive, the latter at most %g", c.PerPrincipal, c.LoginRate, float64(maxLoginRate))
	}
	for _, origin := range splitList(c.Origins) {
		if !isExactOrigin(origin) {
			return fmt.Errorf("flag access.origins: %q is no origin; write each as browsers send it, such as https://example.org, in lower case, without a path or the scheme's own port", origin)
		}
	}
	_, err := parseNetworks(c.TrustedProxies)
	return err
}

// isExactOrigin reports whether a text has the form in which browsers send an origin.
func isExactOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != "" && !strings.Contains(u.Host, "*") &&
		text == u.Scheme+"://"+withoutPort(u.Host, u.Scheme)
}

// splitList returns the values of a list that is separated by commas.
func splitList(text string) []string {
	var all []string
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

// parseNetworks parses addresses and networks.
func parseNetworks(text string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, one := range splitList(text) {
		network, err := netip.ParsePrefix(one)
		if err != nil {
			address, addressErr := netip.ParseAddr(one)
			if addressErr != nil {
				return nil, fmt.Errorf("flag trusted-proxies: %q is neither an address nor a network such as 10.0.0.0/8", one)
			}
			network = netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen())
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

// enabledFlag is a flag that is true by default, stored inverted so that a zero Config is enabled.
type enabledFlag bool

// IsBoolFlag reports that the flag may stand without a value.
func (e *enabledFlag) IsBoolFlag() bool { return true }

// String returns true if it is enabled, else false.
func (e *enabledFlag) String() string {
	if *e {
		return "false"
	}
	return "true"
}

// Set parses the form that String returns.
func (e *enabledFlag) Set(s string) error {
	switch s {
	case "true", "1", "t", "TRUE", "True", "T":
		*e = false
	case "false", "0", "f", "FALSE", "False", "F":
		*e = true
	default:
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}
