package query

import (
	"log/slog"

	"telemetry-pipeline/events/cache"
	"telemetry-pipeline/queryd/graph"
	"telemetry-pipeline/queryd/history"
	"telemetry-pipeline/queryd/journal"
	"telemetry-pipeline/queryd/live"
	"telemetry-pipeline/queryd/rest"
)

// services are the view and the history of one cluster, and the surfaces that answer from them.
type services struct {
	cache  int64 // bytes of history in memory
	store  store
	hub    *live.Hub
	past   *history.History
	api    *rest.API
	engine *graph.Engine
	graph  executor
	caches map[string]func() cache.Stats // of history, by name
}

// newServices returns the services of a cluster on its stored projections and their log. It starts nothing.
func newServices(cfg Config, store store, log log, lg *slog.Logger) (*services, error) {
	hub, err := live.New(cfg.Live, store, log, log.Facts(), lg)
	if err != nil {
		return nil, err
	}
	store.KeepChunksUpTo(cfg.HistoryCache / 4)
	past := history.New(seriesReader{store}, lg)
	engine, err := graph.New(graph.Config{ClusterID: cfg.ClusterID, Tracer: cfg.Tracer}, hub, past, lg)
	if err != nil {
		return nil, err
	}
	s := &services{cache: cfg.HistoryCache, store: store, hub: hub, past: past, engine: engine, graph: engine, caches: map[string]func() cache.Stats{"chunks": store.ChunkCacheStats}}
	cfg.REST.ClusterID = cfg.ClusterID
	s.api = rest.New(cfg.REST, log.Facts(), hub, past, quarantineReader{store}, lg)
	s.api.ServeLog(journal.New(log))
	return s, nil
}
