package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"telemetry-pipeline/events"
)

// checkPromises reads the state of the cluster and checks every promise against all observations.
func (out *observations) checkPromises(ctx context.Context, c *cluster, head events.Revision) error {
	slices.SortStableFunc(out.saves, func(a, b save) int { return cmp.Compare(a.rev, b.rev) })
	log, err := c.openLog(ctx)
	if err != nil {
		return err
	}
	defer log.Close()
	again, err := replayLog(ctx, log)
	if err != nil {
		return err
	}
	now, err := loadStored(ctx, c.store(log), log.Facts().Partitions)
	if err != nil {
		return err
	}
	keys, err := queueKeys(ctx, c.client)
	if err != nil {
		return err
	}
	out.verdicts = append(out.verdicts, checkInLog(again.readings, out.ledger.acked))
	out.checkQueries(ctx, c)
	out.verdicts = append(out.verdicts,
		checkReplay(again.models, now, again.damaged),
		again.checkTraced(),
		checkLog(out.seen.log, out.seen.deleted, keys),
		checkOwners(out.seen.owners),
		checkOwned(out.seen.owners, out.seen.writes),
		checkFencing(out.seen.owners, out.saves),
		checkOffsets(out.seen.writes),
		checkNewer(out.seen.back, len(out.seen.newest)),
		out.checkSettled(head),
		checkFolded(out.seen.writes, out.seen.log),
		out.checkAnswers(),
	)
	if out.access {
		out.verdicts = append(out.verdicts, checkStrangers(out.strangers), out.checkScope(ctx, c))
	}
	return nil
}

// checkQueries asks every queryd for everything.
func (out *observations) checkQueries(ctx context.Context, c *cluster) {
	stream := streamVerdict()
	ends := verdict{promise: "what a subscriber has at the end is what REST says", how: "each subscriber's state against /api/v1/gpus of each queryd"}
	client := c.secrets.newClient("read", 40*time.Second)
	var fleets [][]newest
	for _, d := range c.processesOf("queryd") {
		answered, err := history(ctx, client, "", d.base)
		all := checkRecords(d.name, answered, out.ledger.sent, out.ledger.acked)
		gpus, err2 := getGPUs(ctx, client, d.base)
		for _, err := range []error{err, err2} {
			if err != nil {
				all[0].addFailure("%s: %v", d.name, err)
			}
		}
		fleets = append(fleets, gpus)
		out.verdicts = append(out.verdicts, append(all, checkOrder(d.name, answered))...)
	}
	for _, s := range out.subscribers {
		cells := checkStream(s.name, s.steps, out.seen.view, &stream)
		for _, gpus := range fleets {
			checkEnds(s.name, cells, gpus, &ends)
		}
	}
	out.verdicts = append(out.verdicts, stream, ends)
}

// checkSettled holds how soon everything was well again.
func (out *observations) checkSettled(head events.Revision) verdict {
	limit := 2*out.ttl + debounce
	v := verdict{promise: "every partition has one owner within 2 × TTL + debounce after the faults heal, and every queryd shows everything within the same time",
		how: "owner and member keys after the last fault; ?wait= at the head of the log"}
	v.checked = partitions
	if out.recovery.owners > limit {
		v.addFailure("it took %s until every partition had an owner, more than %s", out.recovery.owners, limit)
	}
	for name, took := range out.recovery.visible {
		if took > limit {
			v.addFailure("it took %s until %s showed everything, more than %s", took, name, limit)
		}
	}
	if out.recovery.err != nil {
		v.addFailure("%v", out.recovery.err)
	}
	if out.seen.broken != nil {
		v.addFailure("the observer lost sight, so this run shows too little: %v", out.seen.broken)
	} else if out.seen.rev < head.Number {
		v.addFailure("the observer saw everything up to %d of %d", out.seen.rev, head.Number)
	}
	return v
}

// checkAnswers collects the faults of answers.
func (out *observations) checkAnswers() verdict {
	v := verdict{promise: "answers keep to the contract: receipts count every record, refusals say when to come back, an answer with ?wait= has what was acknowledged, readings only get newer",
		how: "each answer to an upload; each poll of /api/v1/gpus by queryd and over its restarts, against what was sent"}
	for _, n := range out.ledger.answers {
		v.checked += n
	}
	for _, w := range out.ledger.wrong {
		v.addFailure("%s", w)
	}
	for _, r := range out.readers {
		v.checked += len(r.good)
		for _, w := range r.wrong {
			v.addFailure("%s", w)
		}
		for answered, value := range r.answered {
			if want, known := out.ledger.sent[answered]; !known || want != value {
				v.addFailure("%s answered %s: %s, sent was %q", r.name, answered, value, want)
			}
		}
	}
	return v
}
