package daemon

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"telemetry-pipeline/events/listen"
)

// newHealthCommand returns the command "health", which every daemon has: it asks the admin listener of the daemon on this machine. A
// container without a shell or curl has it as its health check. Flags registers the flags of the daemon; the command reads the same variables.
func newHealthCommand(flags func(*flag.FlagSet)) Command {
	var own config
	var live bool
	return Command{
		Name: "health", Needs: NeedsNothing,
		Summary: "ask the daemon on this machine whether it is ready; exit code 1 if it is not",
		Flags:   func(fs *flag.FlagSet) { fs.BoolVar(&live, "live", false, "ask only whether it is alive") },
		Prefix:  "HEALTH_",
		Shared: func(fs *flag.FlagSet) {
			all := flag.NewFlagSet("", flag.ContinueOnError)
			own.registerFlags(all)
			flags(all) // for the default port of this daemon
			for _, name := range []string{"admin.host", "admin.port", "tls.cert", "tls.key"} {
				f := all.Lookup(name)
				fs.Var(f.Value, f.Name, f.Usage)
			}
		},
		Run: func(ctx context.Context, t Terminal, args []string) error {
			if len(args) > 0 {
				return &UsageError{fmt.Sprintf("health takes no argument, and has %q", args[0])}
			}
			served, err := listen.NewTLS(own.entrance.tls, t.Log)
			if err != nil {
				return &UsageError{err.Error()}
			}
			path := "/ready"
			if live {
				path = "/health"
			}
			return askHealth(ctx, t.Out, served, served.Scheme()+"://"+own.adminAddress()+path)
		},
	}
}

// adminAddress returns the address at which this machine reaches the admin listener.
func (c *config) adminAddress() string {
	host := c.adminHost
	if ip := net.ParseIP(host); host == "" || host == "*" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(c.adminPort))
}

// healthTimeout is below the usual timeout of a container's health check.
const healthTimeout = 4 * time.Second

// askHealth prints the answer of an admin listener that shows the served certificate. It returns an error unless the status is 200.
func askHealth(ctx context.Context, w io.Writer, served *listen.TLS, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	transport := &http.Transport{TLSClientConfig: served.ClientConfig()}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("the daemon does not answer (is it running, with this -admin.host and -admin.port?): %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	fmt.Fprintf(w, "%s\n", bytes.TrimSpace(answer))
	if resp.StatusCode != http.StatusOK {
		return &ExitError{Code: 1}
	}
	return nil
}
