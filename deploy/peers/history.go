package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"telemetry-pipeline/deploy/fleet"
	"telemetry-pipeline/deploy/measure"
)

const (
	coldTimes    = 3               // askings of one question after a restart
	mostAskings  = 20              // of one question in one round
	askingBudget = 2 * time.Second // of one question in one round, about
	manyClients  = 8
	crowdBudget  = 10 * time.Second // of one round, after which there is no other
)

// measureHistory measures queries of the past on data that is loaded first, unless the directory has it already.
func (r *run) measureHistory(ctx context.Context) error {
	d, err := r.openHistory(ctx)
	if err != nil {
		return err
	}
	r.gpus = fleet.New(d.Plan.GPUs, d.Plan.Seed)
	queries := historyQueries(d)
	took := make([]time.Duration, len(queries))
	for i, q := range queries {
		if took[i], err = r.compareOnce(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	timings := make([]pairTimes, len(queries))
	for round := range r.set.rounds {
		for i, q := range queries {
			if err := r.timeRound(ctx, q, round, took[i], &timings[i]); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
		}
		r.printStep("history: round %d of %d", round+1, r.set.rounds)
	}
	if err := r.addMemory("after the queries"); err != nil {
		return err
	}
	crowd, err := r.timeCrowd(ctx, queries[0])
	if err != nil {
		return err
	}
	for i, q := range queries {
		r.addFigure(figure{Name: q.name, Unit: "ms", Ours: timings[i].ours, Theirs: timings[i].theirs, Bound: q.bound})
		r.addFigure(figure{Name: q.name + ": CPU", Unit: "ms", Ours: timings[i].ourCPU, Theirs: timings[i].theirCPU})
	}
	r.addFigure(crowd)
	if err := r.timeCold(ctx, d, queries, timings); err != nil {
		return err
	}
	return r.addHistoryBytes(d)
}

// openHistory starts both servers on the loaded data.
func (r *run) openHistory(ctx context.Context) (*historyData, error) {
	d, err := readLoaded(r.historyDir)
	if err != nil {
		return nil, err
	}
	if d != nil && d.Plan != r.set.history {
		return nil, fmt.Errorf("%s was loaded with other parameters (%+v): name another directory", r.historyDir, d.Plan)
	}
	loaded := d != nil
	if !loaded {
		d = &historyData{Plan: r.set.history, End: time.Now().UTC().Truncate(time.Hour)}
	}
	if err := r.startBoth(ctx, r.historyDir, archiveSoon(d.hotWindow(time.Now()))...); err != nil {
		return nil, err
	}
	if loaded {
		return d, nil
	}
	if err := r.loadHistory(ctx, d); err != nil {
		return nil, err
	}
	return d, d.writeLoaded(r.historyDir)
}

// compareOnce asks both servers the same, and returns how long the slower answer took. A difference is an error.
func (r *run) compareOnce(ctx context.Context, q historyQuery) (time.Duration, error) {
	for asking := range 2 {
		began := time.Now()
		pages, err := r.askOurs(ctx, q, asking)
		if err != nil {
			return 0, err
		}
		if asking == 1 {
			return time.Since(began), nil
		}
		theirs, err := r.client.Get(ctx, q.victoriaURL(r.theirs.address, r.gpus, asking))
		if err != nil {
			return 0, err
		}
		a, err := r.parseOurs(pages)
		if err != nil {
			return 0, err
		}
		b, err := q.parseTheirs(theirs, asking)
		if err != nil {
			return 0, err
		}
		if err := compareAnswers(a, b, q.tolerance()); err != nil {
			return 0, err
		}
		r.printStep("%s: %d numbers, equal", q.name, len(a))
	}
	return 0, nil
}

// pairTimes are the median times of the answers, and the mean processor times of the servers, by round, in
// milliseconds.
type pairTimes struct{ ours, theirs, ourCPU, theirCPU []float64 }

// timeRound asks a question several times, in turns.
func (r *run) timeRound(ctx context.Context, q historyQuery, round int, took time.Duration, into *pairTimes) error {
	times := min(max(int(askingBudget/max(took, time.Microsecond)), 1), mostAskings)
	var a, b timedSide
	for i := range times {
		asking := round*mostAskings + i
		ours := func() error { _, err := r.askOurs(ctx, q, asking); return err }
		theirs := func() error {
			_, err := r.client.Get(ctx, q.victoriaURL(r.theirs.address, r.gpus, asking))
			return err
		}
		if err := a.timeOnce(r.ours.Process, ours); err != nil {
			return err
		}
		if err := b.timeOnce(r.theirs.Process, theirs); err != nil {
			return err
		}
	}
	into.ours, into.ourCPU = append(into.ours, measure.Median(a.times)), append(into.ourCPU, a.cpu/float64(times))
	into.theirs, into.theirCPU = append(into.theirs, measure.Median(b.times)), append(into.theirCPU, b.cpu/float64(times))
	return nil
}

// timedSide adds up the work of one server, in milliseconds.
type timedSide struct {
	times []float64
	cpu   float64
}

func (s *timedSide) timeOnce(p *measure.Process, work func() error) error {
	before, err := p.Usage()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := work(); err != nil {
		return err
	}
	s.times = append(s.times, measure.Milliseconds(time.Since(began)))
	after, err := p.Usage()
	s.cpu += measure.Milliseconds(after.CPU - before.CPU)
	return err
}

// timeCrowd measures how long it takes until several clients that ask the same kind of question at once all have their
// answers.
func (r *run) timeCrowd(ctx context.Context, q historyQuery) (figure, error) {
	f := figure{Name: fmt.Sprintf("%s: %d clients at once", q.name, manyClients), Unit: "ms"}
	for round := range r.set.rounds {
		ours, err := measure.Together(manyClients, func(i int) error {
			_, err := r.askOurs(ctx, q, round+i)
			return err
		})
		if err != nil {
			f.Ours, f.Note = nil, "failed: "+err.Error() // such as the server's time limit: a result
			return f, nil
		}
		theirs, err := measure.Together(manyClients, func(i int) error {
			_, err := r.client.Get(ctx, q.victoriaURL(r.theirs.address, r.gpus, round+i))
			return err
		})
		if err != nil {
			return f, err
		}
		f.Ours, f.Theirs = append(f.Ours, measure.Milliseconds(ours)), append(f.Theirs, measure.Milliseconds(theirs))
		if ours > crowdBudget {
			break
		}
	}
	return f, nil
}

// timeCold asks each question as the first one after a start of our process. The files stay in the kernel's memory.
func (r *run) timeCold(ctx context.Context, d *historyData, queries []historyQuery, warm []pairTimes) error {
	for i, q := range queries {
		f := figure{
			Name: q.name + ": first after a restart", Unit: "ms", Theirs: slices.Repeat([]float64{measure.Median(warm[i].ours)}, coldTimes),
			Bound: bound{MaxRatio: 5}, Note: "beside our warm median",
		}
		for range coldTimes {
			if err := r.restartOurs(ctx, r.historyDir, archiveSoon(d.hotWindow(time.Now()))...); err != nil {
				return err
			}
			began := time.Now()
			if _, err := r.askOurs(ctx, q, i); err != nil {
				f.Ours, f.Note = nil, "failed: "+err.Error() // such as the server's time limit: a result
				break
			}
			f.Ours = append(f.Ours, measure.Milliseconds(time.Since(began)))
		}
		r.addFigure(f)
	}
	return nil
}

// addHistoryBytes adds the bytes that a record takes at rest.
func (r *run) addHistoryBytes(d *historyData) error {
	archived, _, err := measure.DirectorySize(r.ours.Data + "/archive")
	if err != nil {
		return err
	}
	etcd, _, err := measure.DirectorySize(r.ours.Data + "/etcd")
	if err != nil {
		return err
	}
	theirs, _, err := measure.DirectorySize(r.theirs.data)
	if err != nil {
		return err
	}
	perRecord := func(bytes int64) []float64 { return []float64{float64(bytes) / float64(d.Records)} }
	r.addFigure(figure{Name: "bytes at rest: archive, against everything of the peer", Unit: "B/record", Ours: perRecord(archived), Theirs: perRecord(theirs), Bound: bound{Max: 0.75}})
	r.addFigure(figure{Name: "bytes at rest: etcd's files", Unit: "B/record", Ours: perRecord(etcd)})
	rate := float64(d.Records)
	r.addFigure(figure{
		Name: "load: files of the wide form, one after the other", Unit: "records/s",
		Ours: []float64{rate / d.Ours.Seconds()}, Theirs: []float64{rate / d.Theirs.Seconds()},
	})
	return nil
}
