package program

import (
	"context"

	"telemetry-pipeline/deploy/daemon"
	"telemetry-pipeline/events/caller"
	"telemetry-pipeline/queryd/subscribe"
)

// queryCommands returns the commands of queryd besides serving.
func queryCommands() []daemon.Command {
	return []daemon.Command{subscribeCommand(), tokenCommand()}
}

func subscribeCommand() daemon.Command {
	var c subscribe.Config
	return daemon.Command{
		Name: "subscribe", Needs: daemon.NeedsToken, Args: "OPERATION",
		Summary: "executes a GraphQL subscription on a query server and writes each result as a line of JSON, until Ctrl-C",
		Flags:   c.Flags, Prefix: "SUBSCRIBE_",
		Secrets: []daemon.Secret{{Variable: caller.TokenVariable, Usage: caller.TokenUsage, Value: &c.Caller.Token}},
		Run: func(ctx context.Context, t daemon.Terminal, args []string) error {
			if len(args) != 1 {
				return &daemon.UsageError{Text: "write the operation as one argument, such as 'subscription { gpuMetrics { gpus { id gpuUtilization } } }'"}
			}
			client, err := subscribe.New(c, t.Log)
			if err != nil {
				return &daemon.UsageError{Text: err.Error()}
			}
			return client.Run(ctx, args[0], t.Out)
		},
	}
}
