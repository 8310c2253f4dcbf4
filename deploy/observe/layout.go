package observe

// schemaVersion is of Grafana 10.4; newer ones migrate it when they load it.
const schemaVersion = 39

const (
	gridColumns = 24
	graphHeight = 8
	graphWidth  = 8
	statHeight  = 4
	statWidth   = 4
)

// chosenSource is the data source that is chosen at the top of the dashboard.
func chosenSource() *Datasource { return &Datasource{Type: "prometheus", UID: "${datasource}"} }

// line is a query with the legend of its series.
type line struct{ expr, legend string }

// layout places panels from left to right and from top to bottom, and numbers them.
type layout struct {
	panels     []Panel
	x, y, high int
}

// place adds a panel of a size at the next free place.
func (l *layout) place(p Panel, width, height int) {
	if l.x+width > gridColumns {
		l.endLine()
	}
	p.ID, p.GridPos = len(l.panels)+1, GridPos{H: height, W: width, X: l.x, Y: l.y}
	l.panels = append(l.panels, p)
	l.x, l.high = l.x+width, max(l.high, height)
}

// endLine continues below all panels.
func (l *layout) endLine() { l.x, l.y, l.high = 0, l.y+l.high, 0 }

// startRow adds the title of a group of panels.
func (l *layout) startRow(title string) {
	l.endLine()
	l.place(Panel{Type: "row", Title: title, Collapsed: new(bool)}, gridColumns, 1)
	l.endLine()
}

// addGraph adds a panel of lines over time.
func (l *layout) addGraph(title, unit, description string, lines ...line) {
	l.place(newPanel("timeseries", title, unit, description, lines, false), graphWidth, graphHeight)
}

// addStat adds a panel with the newest value as a number.
func (l *layout) addStat(title, unit, description string, lines ...line) {
	p := newPanel("stat", title, unit, description, lines, true)
	p.Options = map[string]any{"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}}, "textMode": "auto"}
	l.place(p, statWidth, statHeight)
}

// addTable adds a table of the newest values.
func (l *layout) addTable(title, unit, description string, lines ...line) {
	p := newPanel("table", title, unit, description, lines, true)
	for i := range p.Targets {
		p.Targets[i].Format = "table"
	}
	l.place(p, gridColumns/2, graphHeight)
}

func newPanel(kind, title, unit, description string, lines []line, instant bool) Panel {
	p := Panel{
		Type: kind, Title: title, Description: description, Datasource: chosenSource(),
		FieldConfig: &FieldConfig{Defaults: FieldDefaults{Unit: unit}, Overrides: []any{}},
	}
	for i, q := range lines {
		p.Targets = append(p.Targets, Target{RefID: string(rune('A' + i)), Datasource: chosenSource(), Expr: q.expr, LegendFormat: q.legend, Instant: instant})
	}
	return p
}

// sourceVariable is the choice of the data source.
func sourceVariable() Variable {
	return Variable{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"}
}

// labelVariable is a choice among the values of a label, with all of them as the first one. Its value for all also matches series without
// the label.
func labelVariable(name, label, query string) Variable {
	return Variable{
		Name: name, Label: label, Type: "query", Query: query, Datasource: chosenSource(),
		Refresh: 2, Multi: true, IncludeAll: true, AllValue: ".*", Sort: 1,
	}
}
