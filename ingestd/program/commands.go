package program

import (
	"context"
	"flag"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/caller"
	"telemetry-pipeline/ingestd/upload"
	"telemetry-pipeline/ingestd/watch"
)

// allCommands returns the commands of ingestd for people who have files.
func allCommands() []daemon.Command {
	return []daemon.Command{uploadCommand(), watchCommand()}
}

// variablePrefix is the prefix of the environment variables of the commands' flags.
const variablePrefix = "UPLOAD_"

// secrets returns the settings of a client that have no flag.
func secrets(c *caller.Config) []daemon.Secret {
	return []daemon.Secret{{Variable: caller.TokenVariable, Usage: caller.TokenUsage, Value: &c.Token}}
}

func uploadCommand() daemon.Command {
	var c upload.Command
	return daemon.Command{
		Name: "upload", Needs: daemon.NeedsToken, Args: "FILE…",
		Summary: "uploads files (patterns too, - for the standard input) and prints the result of each; " +
			"exit code 0: all stored, 1: a file cannot be read, 3: rows were rejected, 4: a file was refused, 5: not delivered, try later",
		Flags: c.Flags, Prefix: variablePrefix, Secrets: secrets(&c.Caller),
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			code, err := c.Run(ctx, t.In, t.Out, t.Err, args)
			if err != nil {
				return &daemon.UsageError{Text: err.Error()}
			}
			if code != 0 {
				return &daemon.ExitError{Code: code}
			}
			return nil
		},
	}
}

func watchCommand() daemon.Command {
	var to upload.Config
	var what watch.Config
	return daemon.Command{
		Name: "watch", Needs: daemon.NeedsToken, Args: "DIR",
		Summary: "ships new lines of a directory's growing log files, and remembers on disk where it was",
		Chatty:  true, Prefix: variablePrefix, Secrets: secrets(&to.Caller),
		Flags: func(fs *flag.FlagSet) { to.Flags(fs); what.Flags(fs) },
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) != 1 {
				return &daemon.UsageError{Text: "name the one directory to watch"}
			}
			client, err := upload.New(to)
			if err != nil {
				return &daemon.UsageError{Text: err.Error()}
			}
			w, err := watch.New(what, args[0], to.Columns != "", client, t.Log)
			if err != nil {
				return err
			}
			return w.Run(ctx)
		},
	}
}
