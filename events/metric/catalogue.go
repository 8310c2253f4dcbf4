package metric

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"telemetry-pipeline/events"
)

// catalogueText is the catalogue, a line per metric, sorted by name. Units and ranges are of dcgm-exporter up to 4.8;
// the ranges are wide on purpose: they catch corrupt reads (DCGM has reported a utilization of 4294967295), not hot
// GPUs. A source's name is in lower case, without the prefix common to its column, and with ":unit" if the
// source uses another unit.
//
//go:embed catalogue.tsv
var catalogueText string

// catalogue returns the parsed table, which is read-only.
var catalogue = sync.OnceValue(func() *table {
	t, err := parseTable(catalogueText)
	if err != nil {
		panic("events/metric/catalogue.tsv: " + err.Error()) // the table is embedded and tested
	}
	return t
})

// ProcessMemory is the metric of nvidia-smi's lists of processes. The name is defined here, since DCGM has no such
// field.
const ProcessMemory = "process_used_memory_mib"

// The columns of the catalogue.
const (
	colName = iota
	colID
	colUnit
	colKind
	colType
	colMin
	colMax
	colParts
	colWords
	colWide      // name in wide files, REST and GraphQL
	colWideOrder // position among them, from 1
	colQuery     // nvidia-smi --query-gpu
	colDmon      // nvidia-smi dmon
	colDCGMI     // dcgmi dmon
	colField     // other DCGM field names, from older versions and 4.6, without DCGM_FI_DEV_
	colField47   // DCGM field names since 4.7
	colFleet     // the agent of Fleet Intelligence
	colExporter1 // dcgm-exporter 1.x, without dcgm_
	colHelp
	columns
)

const header = "name\tid\tunit\tkind\ttype\tmin\tmax\tparts\twords\twide\twide order\tnvidia-smi\tnvidia-smi dmon\tdcgmi dmon\tdcgm\tdcgm 4.7\tfleetint\texporter 1\thelp"

// table is the catalogue with its derived indexes.
type table struct {
	metrics    []Metric
	names      map[string]meaning // by every name of a metric in a source, in lower case
	wideFields []NamedField
}

// meaning is the metric, conversion and generation of a name.
type meaning struct {
	metric     *Metric
	conversion Conversion
	proves     Generation
}

func parseTable(text string) (*table, error) {
	first, rest, _ := strings.Cut(text, "\n")
	if first != header {
		return nil, fmt.Errorf("the columns are %q, want %q", first, header)
	}
	lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	t := &table{metrics: make([]Metric, len(lines)), names: make(map[string]meaning, 8*len(lines))}
	wide := make(map[int]NamedField)
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		if len(cells) != columns {
			return nil, fmt.Errorf("line %d has %d cells, want %d", i+2, len(cells), columns)
		}
		m := &t.metrics[i]
		err := m.parseCells(cells)
		if err == nil && i > 0 && m.Name <= t.metrics[i-1].Name {
			err = fmt.Errorf("it is not behind %s: the lines are sorted by name", t.metrics[i-1].Name)
		}
		if err == nil {
			err = t.addNames(m, cells)
		}
		if err == nil {
			err = addWide(wide, m, cells)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d, %s: %w", i+2, cells[colName], err)
		}
	}
	for position := 1; position <= len(wide); position++ {
		field, exists := wide[position]
		if !exists {
			return nil, fmt.Errorf("no field of the wide form has position %d", position)
		}
		t.wideFields = append(t.wideFields, field)
	}
	return t, nil
}

// parseCells reads all cells except the names of other sources.
func (m *Metric) parseCells(cells []string) (err error) {
	m.Name, m.Unit, m.Help = cells[colName], cells[colUnit], cells[colHelp]
	if m.Name == "" || m.Unit == "" || m.Help == "" {
		return errors.New("name, unit and help must not be empty")
	}
	if cells[colID] != "" {
		if m.ID, err = strconv.Atoi(cells[colID]); err != nil {
			return err
		}
	}
	kind, err := oneOf(cells[colKind], "gauge", "counter", "rate")
	if err != nil {
		return err
	}
	typ, err := oneOf(cells[colType], "", "int64", "double")
	if err != nil {
		return err
	}
	m.Kind, m.Type = Kind(kind), Type(typ)
	if m.Min, err = events.ParseNumber(cells[colMin]); err != nil {
		return err
	}
	if m.Max, err = events.ParseNumber(cells[colMax]); err != nil {
		return err
	}
	parts, err := setOf(cells[colParts], "instance", "link", "xid", "event", "peer", "watch", "process")
	if err != nil {
		return err
	}
	spelled, err := setOf(cells[colWords], "flag", "mask", "pstate", "action", "health")
	m.Parts, m.words = Parts(parts), words(spelled)
	return err
}

// oneOf returns the position of a word in a list.
func oneOf(word string, list ...string) (int, error) {
	i := slices.Index(list, word)
	if i < 0 {
		return 0, fmt.Errorf("%q is none of %q", word, list)
	}
	return i, nil
}

// setOf returns a set with one bit for each word of a text, by its position in the list.
func setOf(text string, list ...string) (set uint8, err error) {
	for word := range strings.FieldsSeq(text) {
		i, err := oneOf(word, list...)
		if err != nil {
			return 0, err
		}
		set |= 1 << i
	}
	return set, nil
}

const (
	device    = "dcgm_fi_dev_"
	profiling = "dcgm_fi_prof_"
)

// addNames adds all names of a metric: its own, with and without the prefixes of DCGM, and its names in the sources.
func (t *table) addNames(m *Metric, cells []string) error {
	own := strings.ToLower(m.Name)
	names := map[string]meaning{own: {metric: m}}
	for _, prefix := range []string{"dcgm_", "dcgm_fi_", device} {
		if short, found := strings.CutPrefix(own, prefix); found {
			names[short] = meaning{metric: m}
		}
	}
	fields := []string{"", device}
	if strings.HasPrefix(own, profiling) {
		fields = append(fields, profiling)
	}
	for _, source := range []struct {
		column   int
		prefixes []string
	}{
		{colWide, []string{""}}, {colQuery, []string{""}}, {colDmon, []string{""}}, {colDCGMI, []string{""}},
		{colField, fields}, {colField47, fields}, {colFleet, fields}, {colExporter1, []string{"dcgm_"}},
	} {
		for name := range strings.FieldsSeq(cells[source.column]) {
			name, unit, converted := strings.Cut(name, ":")
			conversion, known := conversionOf(unit, m.Unit)
			if converted && !known {
				return fmt.Errorf("nothing converts %q of %s into %s", unit, name, m.Unit)
			}
			for _, prefix := range source.prefixes {
				means := meaning{metric: m, conversion: conversion}
				if source.column == colField47 && prefix == device {
					means.proves = Since49
				}
				if previous, exists := names[prefix+name]; exists && previous != means {
					return fmt.Errorf("%s means two things", prefix+name)
				}
				names[prefix+name] = means
			}
		}
	}
	for name, means := range names {
		if previous, exists := t.names[name]; exists {
			return fmt.Errorf("%s is a name of %s too", name, previous.metric.Name)
		}
		t.names[name] = means
	}
	return nil
}
