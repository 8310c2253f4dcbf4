package rest

import (
	"github.com/gofiber/fiber/v2"

	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// serveCluster answers GET /api/v1/cluster: the fleet in one object, and how current it is.
func (a *API) serveCluster(c *fiber.Ctx) error {
	p, err := readParams(c, "as_of", "wait")
	if err != nil {
		return err
	}
	s, err := a.loadView(c.UserContext(), p, allHosts)
	if err != nil {
		return err
	}
	w := a.beginAnswerAt(s, 2048)
	w.openItem()
	w.Whole("host_count", int64(s.CountHosts()))
	w.writeHostCounts(s.HostStatuses(s.now))
	w.writeTotals(s.Totals(s.now))
	w.writeNames("models", "model_name", s.Models())
	w.writeNames("drivers", "driver_version", s.Drivers())
	w.writePosition(a, s.State)
	w.Close('}')
	return w.finishAnswer(c, 1)
}

// writeHostCounts writes the number of hosts for each status.
func (w *writer) writeHostCounts(active, stale int) {
	w.Key("host_status")
	w.Open('{')
	w.Whole(string(projections.Active), int64(active))
	w.Whole(string(projections.Stale), int64(stale))
	w.Close('}')
}

// writeNames writes the number of GPUs for each name, each GPU counted once.
func (w *writer) writeNames(list, member string, counts []live.NameCount) {
	w.Key(list)
	w.Open('[')
	for _, n := range counts {
		if n.GPUs > 0 {
			w.writeCount(member, n.Name, n.GPUs)
		}
	}
	w.Close(']')
}
