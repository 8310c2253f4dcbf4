package daemon

import (
	"flag"
	"log/slog"
	"strconv"
	"time"

	"telemetry-pipeline/events/trace/otlp"
)

// config holds the settings that every process has besides its parts' settings.
type config struct {
	adminHost  string
	adminPort  int
	logs       logConfig
	stopBudget time.Duration
	entrance   entranceConfig
	traces     otlp.Config
}

// defaultStopBudget lets a part drain; all of them together stay below a platform's usual grace of 30 s.
const defaultStopBudget = 10 * time.Second

func (c *config) registerFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.adminHost, "admin.host", "", "address that the admin listener binds; empty means this machine only (127.0.0.1 and ::1); 0.0.0.0 or * means all interfaces")
	fs.IntVar(&c.adminPort, "admin.port", 9090, "port of the admin listener: /health, /ready, /api/v1/status, /metrics, /debug/pprof; 0 takes a free one")
	c.logs.registerFlags(fs, slog.LevelInfo)
	fs.DurationVar(&c.stopBudget, "stop.budget", defaultStopBudget, "how long each part may take to stop")
	c.entrance.registerFlags(fs)
	c.traces.Flags(fs)
}

// AdminPort changes the default of a process's admin port, so that the daemons can run side by side on
// one machine. Call it where flags are registered.
func AdminPort(fs *flag.FlagSet, port int) {
	f := fs.Lookup("admin.port")
	f.DefValue = strconv.Itoa(port)
	_ = f.Value.Set(f.DefValue) // a number always parses
}
