package rest

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/projections"
)

// serveCluster answers GET /api/v1/cluster: the fleet in one object, and how current it is.
func (a *API) serveCluster(c *fiber.Ctx) error {
	p, err := readParams(c, "as_of", "wait")
	if err != nil {
		return err
	}
	s, err := a.loadView(c, p, allHosts)
	if err != nil {
		return err
	}
	w := a.beginAnswerAt(s, 2048)
	w.Open('{')
	w.Whole("host_count", int64(len(s.Hosts())))
	w.writeHostCounts(s.Hosts(), s.now)
	w.writeTotals(projections.Sum(s.GPUs(), s.hostSeen, s.now))
	w.writeCounts("models", "model_name", s.GPUs(), func(g *projections.GPU) string { return g.Identity.Model })
	w.writeCounts("drivers", "driver_version", s.GPUs(), func(g *projections.GPU) string { return g.Identity.Driver })
	w.Text("generation", string(s.Generation()))
	w.Text("position", s.At().String())
	w.Text("folded", s.Folded().String())
	w.Text("as_of", s.AsOf().UTC().Format(time.RFC3339Nano))
	lag := max(a.now().Sub(s.AsOf()), 0).Seconds()
	w.Float("lag_seconds", &lag)
	w.Close('}')
	return w.finishAnswer(c, 1)
}
