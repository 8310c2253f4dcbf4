package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"telemetry-pipeline/events/build"
)

// errDocumented says that the process was only asked to describe itself, and has.
var errDocumented = errors.New("documented")

// parseFlags sets flags from the environment, then from the arguments: a flag beats its variable, which
// beats the default. An empty variable counts as unset.
func parseFlags(fs *flag.FlagSet, p process, commands []Command) error {
	fs.SetOutput(p.stderr)
	if err := refuseSecrets(p.args, variableOf); err != nil {
		return err
	}
	fs.Usage = func() { printUsage(fs.Name(), groupFlags(fs), variableOf, p.stderr); listCommands(p, commands) }
	document := fs.Bool("help-markdown", false, "")
	if err := fromEnvironment(fs, variableOf, p.lookup); err != nil {
		return err
	}
	version := versionFlag(fs)
	if err := fs.Parse(p.args); errors.Is(err, flag.ErrHelp) {
		return errDocumented
	} else if err != nil {
		return err
	}
	if *document {
		printMarkdown(fs, p.stdout)
		return errDocumented
	}
	if *version {
		fmt.Fprintln(p.stdout, build.String(p.name))
		return errDocumented
	}
	if fs.NArg() > 0 {
		return unexpectedArgument(fs.Arg(0), commands)
	}
	return nil
}

// versionFlag registers -version, which asks for the version of the program. It is registered after the environment was read:
// a variable VERSION belongs to other programs. Without a usage text it is in no list of settings.
func versionFlag(fs *flag.FlagSet) *bool { return fs.Bool("version", false, "") }

// refuseSecrets returns an error for a secret among the arguments, which every user of the machine can read. It names the variable
// that takes it.
func refuseSecrets(args []string, variable func(flagName string) string) error {
	for _, arg := range args {
		name, found := strings.CutPrefix(strings.Replace(arg, "--", "-", 1), "-")
		if name, _, _ = strings.Cut(name, "="); found && strings.HasSuffix(name, "password") {
			return fmt.Errorf("flag %s: a password on the command line can be read by every user of this machine; set the environment variable %s", name, variable(name))
		}
	}
	return nil
}

func unexpectedArgument(arg string, commands []Command) error {
	if len(commands) == 0 {
		return fmt.Errorf("unexpected argument %q; settings are flags, see -help", arg)
	}
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name
	}
	return fmt.Errorf("unexpected argument %q; settings are flags, and commands, which stand first, are %s; see -help", arg, strings.Join(names, ", "))
}

func listCommands(p process, commands []Command) {
	for _, c := range commands {
		fmt.Fprintf(p.stderr, "\n%s %s [flags] %s\n        %s\n", p.name, c.Name, c.Args, c.Summary)
	}
}

// fromEnvironment sets flags from variables; variable returns their names.
func fromEnvironment(fs *flag.FlagSet, variable func(flagName string) string, lookup func(string) (string, bool)) error {
	var first error
	fs.VisitAll(func(f *flag.Flag) {
		text, ok := lookup(variable(f.Name))
		if !ok || text == "" || first != nil {
			return
		}
		if err := fs.Set(f.Name, text); err != nil {
			first = fmt.Errorf("environment variable %s=%q: %w", variable(f.Name), text, err)
		}
	})
	return first
}

// variableOf names the environment variable that a flag falls back to: data-dir is DATA_DIR, log.level
// is LOG_LEVEL.
func variableOf(flagName string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flagName))
}

// printUsage prints flags with the variables to which they fall back.
func printUsage(name string, groups []flagGroup, variable func(flagName string) string, w io.Writer) {
	fmt.Fprintf(w, "usage of %s (each flag falls back to the environment variable beside it; -version prints the version):\n", name)
	for _, g := range groups {
		if g.name != "" {
			fmt.Fprintf(w, "\n%s:\n", g.name)
		}
		for _, f := range g.flags {
			fmt.Fprintf(w, "  -%s (%s) default %q\n        %s\n", f.Name, variable(f.Name), f.DefValue, f.Usage)
		}
	}
}

// printMarkdown writes the flags as a section of docs/CONFIG.md, in the groups of usage.
func printMarkdown(fs *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "## %s\n", fs.Name())
	for _, g := range groupFlags(fs) {
		fmt.Fprintf(w, "\n### %s\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n", g.name)
		for _, f := range g.flags {
			value := "–"
			if f.DefValue != "" {
				value = "`" + f.DefValue + "`"
			}
			fmt.Fprintf(w, "| `-%s` | `%s` | %s | %s |\n", f.Name, variableOf(f.Name), value, f.Usage)
		}
	}
}
