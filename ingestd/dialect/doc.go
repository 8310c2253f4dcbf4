// Package dialect is what all dialects of telemetry files have in common: the options a sender can give,
// the result of parsing a row, the names of columns and labels that say where a reading comes from, and how
// times are written.
//
// In come header cells, identity cells and times as some source spelled them. Out go hosts, identities and
// instants in the one form of package events, or a rejection that says what was read and what to do.
//
// It never reads a file or a clock, and never invents a host, a time or a zone: what is missing must be
// given in Options.
package dialect
