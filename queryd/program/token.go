package program

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/access"
)

// tokenSettings are the flags of the command token.
type tokenSettings struct {
	name, roles, scope string
	expires            string
}

func (s *tokenSettings) registerFlags(fs *flag.FlagSet) {
	fs.StringVar(&s.name, "name", "", "id of the principal, as it is in logs: letters, digits and ._:@/-")
	fs.StringVar(&s.roles, "roles", "", "what the principal may do, comma-separated: ingest, read, admin")
	fs.StringVar(&s.scope, "scope", "", "telemetry that the principal may see or send: * for everything, or names such as cluster=prod,host=gpu-*,namespace=team-a")
	fs.StringVar(&s.expires, "expires", "", "end of the token: a time such as 2027-01-31T00:00:00Z, or a duration from now such as 720h; empty: it does not expire")
}

// tokenCommand returns the command that makes tokens.
func tokenCommand() daemon.Command {
	var s tokenSettings
	return daemon.Command{
		Name: "token", Args: "new", Needs: daemon.NeedsNothing,
		Summary: "makes a token and prints it, once, with its line for the file of principals (-access.file), which does not hold the token",
		Flags:   s.registerFlags, Prefix: "TOKEN_",
		Run: func(_ context.Context, t daemon.Terminal, args []string) error {
			if len(args) != 1 || args[0] != "new" {
				return &daemon.UsageError{Text: "write token new -name NAME -roles ROLES -scope SCOPE"}
			}
			return s.printToken(t, time.Now())
		},
	}
}

// printToken prints a new token to the standard output, and what to do with it to the error output.
func (s *tokenSettings) printToken(t daemon.Terminal, now time.Time) error {
	roles, err := access.ParseRoles(s.roles)
	if err != nil {
		return &daemon.UsageError{Text: "flag roles: " + err.Error()}
	}
	scope, err := access.ParseScope(s.scope)
	if err == nil && scope.IsEmpty() {
		err = fmt.Errorf("an empty scope selects nothing; give * for everything, or names")
	}
	if err != nil {
		return &daemon.UsageError{Text: "flag scope: " + err.Error()}
	}
	expires, err := s.parseExpiry(now)
	if err != nil {
		return &daemon.UsageError{Text: "flag expires: " + err.Error()}
	}
	token, line, err := access.NewToken(s.name, roles, scope, expires)
	if err != nil {
		return &daemon.UsageError{Text: err.Error()}
	}
	if slices.Contains(roles, access.RoleIngest) && scope.ByNamespace() {
		fmt.Fprintln(t.Err, "warning: a sender of a namespace may say which GPUs the namespace uses, and is believed; prefer hosts in the scope of a sender (docs/SECURITY.md)")
	}
	fmt.Fprintf(t.Err, "The token of %s; it is shown this once, and belongs into a file that only its holder reads:\n", s.name)
	fmt.Fprintln(t.Out, token)
	fmt.Fprintln(t.Err, "Its line for the file of principals of the servers (-access.file):")
	fmt.Fprintln(t.Out, line)
	return nil
}

// parseExpiry returns the end of the token, zero for none.
func (s *tokenSettings) parseExpiry(now time.Time) (time.Time, error) {
	if s.expires == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, s.expires)
	if err != nil {
		after, err := time.ParseDuration(s.expires)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is neither a time such as 2027-01-31T00:00:00Z nor a duration such as 720h", s.expires)
		}
		at = now.Add(after).UTC().Truncate(time.Second)
	}
	if !at.After(now) {
		return time.Time{}, fmt.Errorf("%q is not after now", s.expires)
	}
	return at, nil
}
