// Package rebuild makes generations of projections and tells people about them: the commands rebuild and generations of
// collectd.
//
// In: what a person asks for. Out: a generation's record, made or changed; lines that tell how far it is, and every
// difference to the active one. It never folds anything into what is stored and leads no generation from state to
// state: collectors do. So it can be killed at any time, and whoever runs it again looks on at the same rebuild.
package rebuild
