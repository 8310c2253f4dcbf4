package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestUpgradeGoesForwardBackAndForward checks by its plan that a run begins with the previous release, ends with the present one, and
// takes every process through both directions, one at a time.
func TestUpgradeGoesForwardBackAndForward(t *testing.T) {
	for _, duration := range []time.Duration{time.Minute, 3 * time.Minute, 20 * time.Minute} {
		plan := planUpgrade(1, duration)
		ofDaemons, ofMembers := splitUpgrade(plan)
		if len(ofDaemons)+len(ofMembers) != len(plan) {
			t.Errorf("%s: %d and %d exchanges of %d", duration, len(ofDaemons), len(ofMembers), len(plan))
		}
		present, restarts := map[string]bool{}, map[int]int{}
		for _, part := range [][]fault{ofDaemons, ofMembers} {
			end := time.Duration(0)
			for _, f := range part {
				if f.at < max(end, warmUp) || f.endTime() > duration {
					t.Errorf("%s: %s begins before the one before it has ended, or lasts too long", duration, f)
				}
				end = f.endTime()
				process := f.hits() + string(rune('0'+f.target))
				switch _, how, _ := strings.Cut(f.kind, " "); {
				case f.kind == answersDue:
				case how == oneByOne:
					restarts[f.target]++
				case present[process] == (how != back):
					t.Errorf("%s: %s, and it has that release already", duration, f)
				default:
					present[process] = how != back
				}
			}
		}
		for process, now := range present {
			if !now {
				t.Errorf("%s: %s ends with the previous release", duration, process)
			}
		}
		if len(present) != daemons || len(restarts) != members {
			t.Errorf("%s: %d daemons and %d members are exchanged, want %d and %d", duration, len(present), len(restarts), daemons, members)
		}
	}
}

// TestUpgradeKnowsEventsBeforeTheyAreWritten checks the order of the runbook: collectd first on the way forward, last on the way back.
func TestUpgradeKnowsEventsBeforeTheyAreWritten(t *testing.T) {
	for how, want := range map[string][]string{forward: {"collectd", "ingestd", "queryd"}, back: {"queryd", "ingestd", "collectd"}} {
		var kinds []string
		for _, f := range appendExchanges(nil, 0, how, nil) {
			if f.kind != answersDue {
				kinds = append(kinds, f.hits())
			}
		}
		if got := slices.Compact(kinds); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", how, got, want)
		}
	}
}

func TestComparisonsAddUp(t *testing.T) {
	u := newUpgrade(release{}, release{})
	u.noteComparison([]verdict{{checked: 3}, {checked: 2, failed: 20, broken: slices.Repeat([]string{"lost"}, maxEvidence)}})
	u.noteComparison([]verdict{{checked: 1, failed: 1, broken: []string{"doubled"}}})
	u.noteFailure(errors.New("no answer in time"))
	u.noteFailure(fmt.Errorf("reading history: %w", &refusal{http.StatusBadRequest, "invalid_cursor"}))
	if v := u.compared; v.checked != 6 || v.failed != 22 || len(v.broken) != maxEvidence || v.ok() || u.unanswered != 1 {
		t.Errorf("6 checked, 22 failed, %d shown and 1 not answered became %+v and %d", maxEvidence, v, u.unanswered)
	}
}

func TestStrangersThatAreAnsweredAreFound(t *testing.T) {
	s := &stranger{name: "queryd-0", answers: map[string]int{}}
	who := credential{caller: unknownRole, status: http.StatusUnauthorized}
	s.noteAnswer(who, "401", http.StatusUnauthorized)
	s.noteAnswer(who, "503", http.StatusServiceUnavailable)
	expect(t, checkStrangers([]*stranger{s}), "")
	s.noteAnswer(who, "200 OK", http.StatusOK)
	expect(t, checkStrangers([]*stranger{s}), "queryd-0 answered 200 OK")
	if v := checkStrangers(nil); v.ok() {
		t.Error("strangers who never asked keep the promise")
	}
}

func TestReadersOfARackSeeItsHostsOnly(t *testing.T) {
	rack := rackGPUs()
	if len(rack) == 0 || len(rack) >= hosts*gpusPerHost {
		t.Fatalf("%s has %d of %d GPUs, want some", rackHosts, len(rack), hosts*gpusPerHost)
	}
	r := &reader{name: "reader", sees: rack, answered: map[reading]string{}}
	r.checkAnswer(&newest{ID: gpuName(0, 0)}, map[cell]time.Time{})
	if len(r.wrong) > 0 {
		t.Errorf("a GPU of the scope: %v", r.wrong)
	}
	r.checkAnswer(&newest{ID: gpuName(hosts-1, 0)}, map[cell]time.Time{})
	if len(r.wrong) != 1 {
		t.Errorf("a GPU of another rack: %v, want a complaint", r.wrong)
	}
}
