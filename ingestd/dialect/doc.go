// Package dialect is the common part of all dialects of telemetry files: the options a sender can set, the result of
// parsing a row, the names of columns and labels that identify the origin of a reading, and the notations of times.
//
// In come header cells, identity cells and times as some source spelled them. Out go hosts, identities and instants
// in the one form of package events, or a rejection that quotes the text and names the remedy.
//
// It never reads a file or a clock, and never invents a host, a time or a zone: Options must supply the missing
// ones.
package dialect
