// Package rebuild makes generations of projections and reports on them: the commands rebuild and generations of
// collectd.
//
// In: the flags of the command. Out: a generation's record, made or changed; lines with its progress, and every
// difference to the active one. It never folds anything into stored projections and moves no generation from state to
// state: collectors do. So it can be killed at any time, and the next run follows the same rebuild.
package rebuild
