package subscribe

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"

	"telemetry-pipeline/events/caller"
)

// Config is the server and the variables of a subscription. The zero value of each field means its default.
type Config struct {
	URL       string        // of the query server; default http://localhost:8080
	Variables string        // of the operation, a JSON object; "": none
	Caller    caller.Config // who subscribes, and which servers are trusted
	RetryFor  time.Duration // how long to reconnect after a connection broke; default 1m, negative: not at all
}

const (
	defaultURL      = "http://localhost:8080"
	defaultRetryFor = time.Minute

	graphqlPath = "/graphql"
)

// Flags registers the flags url, variables and retry-for, and the flags of the caller.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "url", defaultURL, "address of the query server")
	c.Caller.Flags(fs)
	fs.StringVar(&c.Variables, "variables", "", `variables of the operation, as JSON such as {"host":["node-7"]}`)
	fs.DurationVar(&c.RetryFor, "retry-for", defaultRetryFor, "how long to connect again after the connection broke; negative means not at all")
}

func (c Config) withDefaults() Config {
	if c.URL == "" {
		c.URL = defaultURL
	}
	if c.RetryFor == 0 {
		c.RetryFor = defaultRetryFor
	}
	return c
}

// webSocketURL returns the WebSocket address of GraphQL on the server.
func (c Config) webSocketURL() (*url.URL, error) {
	text := c.URL
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("flag url: %q is not the address of a server; write it like %s", c.URL, defaultURL)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return nil, fmt.Errorf("flag url: %q is neither http nor https; write it like %s", c.URL, defaultURL)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), graphqlPath) + graphqlPath
	return u, nil
}

// parseVariables returns the variables as they are sent; nil: none.
func (c Config) parseVariables() (json.RawMessage, error) {
	if c.Variables == "" {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.Variables), &object); err != nil || object == nil {
		return nil, fmt.Errorf(`flag variables: %q is not a JSON object; write it like {"host":["node-7"]}`, c.Variables)
	}
	return json.RawMessage(c.Variables), nil
}
