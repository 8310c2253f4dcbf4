package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

// yearDays returns the lengths of the past that are asked for.
func yearDays() []int { return []int{1, 7, 30, 90, 365} }

// measureYear measures averages by day over more and more of a year.
func (r *run) measureYear(ctx context.Context) error {
	d := &historyData{Plan: r.set.year, End: time.Now().UTC().Truncate(24 * time.Hour)}
	if err := r.startBoth(ctx, filepath.Join(r.dir, "year"), archiveSoon(6*time.Hour)...); err != nil {
		return err
	}
	if err := r.loadHistory(ctx, d); err != nil {
		return err
	}
	r.gpus = fleet.New(d.Plan.GPUs, d.Plan.Seed)
	until := d.coldUntil().Truncate(24 * time.Hour)
	c := curve{File: "year.svg", Title: "Averages by day of one GPU and metric", X: "days", Y: "ms", Lines: []line{{Name: "here"}, {Name: "VictoriaMetrics"}}}
	for _, days := range yearDays() {
		if days > d.Plan.Days {
			continue
		}
		q := historyQuery{name: fmt.Sprintf("%d days of one GPU by day, one metric", days), from: until.AddDate(0, 0, -days), to: until, step: 24 * time.Hour}
		took, err := r.compareOnce(ctx, q)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		var times pairTimes
		for round := range r.set.rounds {
			if err := r.timeRound(ctx, q, round, took, &times); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
		}
		r.addFigure(figure{Name: q.name, Unit: "ms", Ours: times.ours, Theirs: times.theirs})
		c.Lines[0].add(float64(days), measure.Median(times.ours))
		c.Lines[1].add(float64(days), measure.Median(times.theirs))
	}
	r.now.Curves = append(r.now.Curves, c)
	return r.addHistoryBytes(d)
}
