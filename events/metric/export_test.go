package metric

// All gives the whole catalogue, sorted by name.
func All() []Metric {
	all := make([]Metric, len(catalogue))
	for i := range catalogue {
		all[i] = catalogue[i].metric()
	}
	return all
}
