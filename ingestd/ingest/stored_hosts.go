package ingest

import (
	"context"
	"log/slog"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
)

// hostReadTimeout bounds the reading of a host's models, for which an upload waits.
const hostReadTimeout = 5 * time.Second

// storedHosts reads the models of hosts, to which uploads are bounded.
type storedHosts struct {
	folded projector
	lg     *slog.Logger
}

// ReadHost returns the stored models of a host. No upload fails because they cannot be read: then the zero Host is
// returned, and the bounds count what this process has accepted.
func (h storedHosts) ReadHost(ctx context.Context, host events.HostID) projections.Host {
	ctx, cancel := context.WithTimeout(ctx, hostReadTimeout)
	defer cancel()
	models, err := h.folded.Host(ctx, host)
	if err != nil {
		h.lg.Warn("cannot read the models of a host; its bounds count only uploads to this process", "host", host, "err", err)
		return projections.Host{}
	}
	return models
}
