package dialect

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"telemetry-pipeline/events"
)

// ParseLabels reads labels in the syntax of Prometheus: name="value" pairs between commas, with braces
// around them or without. In a value \\, \" and \n stand for a backslash, a quote and a line end; any other
// backslash stands for itself. A name with other characters than letters, digits and '_' is in quotes as
// well. An empty value is no label. The labels come sorted by name.
func ParseLabels(text string) ([]events.Label, error) {
	p := labelParser{text: text}
	labels, err := p.parseLabels()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(labels, func(a, b events.Label) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(labels); i++ {
		if labels[i].Name == labels[i-1].Name {
			return nil, fmt.Errorf("label %q is there twice", labels[i].Name)
		}
	}
	return slices.DeleteFunc(labels, func(l events.Label) bool { return l.Value == "" }), nil
}

// AppendLabels appends labels in the syntax that ParseLabels reads.
func AppendLabels(dst []byte, labels []events.Label) []byte {
	for i, l := range labels {
		if i > 0 {
			dst = append(dst, ',')
		}
		if plainName(l.Name) {
			dst = append(dst, l.Name...)
		} else {
			dst = appendQuoted(dst, l.Name)
		}
		dst = append(dst, '=')
		dst = appendQuoted(dst, l.Value)
	}
	return dst
}

func appendQuoted(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; c {
		case '\\', '"':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

func plainName(name string) bool {
	for i := range len(name) {
		if !nameByte(name[i], i) {
			return false
		}
	}
	return name != ""
}

func nameByte(c byte, i int) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9'
}

type labelParser struct {
	text string
	pos  int
}

func (p *labelParser) parseLabels() ([]events.Label, error) {
	if !utf8.ValidString(p.text) {
		return nil, fmt.Errorf("the labels are not valid UTF-8")
	}
	braced := p.accept('{')
	var labels []events.Label
	for !p.atEnd(braced) {
		l, err := p.parseLabel()
		if err != nil {
			return nil, err
		}
		labels = append(labels, l)
		if !p.accept(',') && !p.atEnd(braced) {
			return nil, p.syntaxError("a comma")
		}
	}
	if braced && !p.accept('}') {
		return nil, p.syntaxError("a closing brace")
	}
	if p.skipBlanks(); p.pos < len(p.text) {
		return nil, p.syntaxError("the end")
	}
	return labels, nil
}

func (p *labelParser) atEnd(braced bool) bool {
	p.skipBlanks()
	return p.pos == len(p.text) || braced && p.text[p.pos] == '}'
}

func (p *labelParser) parseLabel() (l events.Label, err error) {
	p.skipBlanks()
	if p.pos < len(p.text) && p.text[p.pos] == '"' {
		l.Name, err = p.parseQuoted()
	} else {
		from := p.pos
		for p.pos < len(p.text) && nameByte(p.text[p.pos], p.pos-from) {
			p.pos++
		}
		l.Name = p.text[from:p.pos]
	}
	switch {
	case err != nil:
		return l, err
	case l.Name == "":
		return l, p.syntaxError("a label's name")
	case strings.ContainsFunc(l.Name, isControl):
		return l, fmt.Errorf("the label name %q has control characters", l.Name)
	case !p.accept('='):
		return l, p.syntaxError(`"="`)
	}
	p.skipBlanks()
	l.Value, err = p.parseQuoted()
	return l, err
}

// parseQuoted reads a text in quotes.
func (p *labelParser) parseQuoted() (string, error) {
	if p.pos == len(p.text) || p.text[p.pos] != '"' {
		return "", p.syntaxError("a quote")
	}
	from := p.pos + 1
	for i := from; i < len(p.text); i++ {
		switch p.text[i] {
		case '"':
			p.pos = i + 1
			return unescapeValue(p.text[from:i]), nil
		case '\\':
			i++
		}
	}
	p.pos = len(p.text)
	return "", p.syntaxError("a closing quote")
}

func unescapeValue(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			switch next := text[i+1]; next {
			case '\\', '"':
				c = next
				i++
			case 'n':
				c = '\n'
				i++
			}
		}
		out.WriteByte(c)
	}
	return out.String()
}

func (p *labelParser) accept(c byte) bool {
	p.skipBlanks()
	if p.pos < len(p.text) && p.text[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *labelParser) skipBlanks() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
}

func (p *labelParser) syntaxError(want string) error {
	return fmt.Errorf("the labels cannot be read at byte %d: %s is wanted there", p.pos+1, want)
}

// isControl reports whether no name may have the character; a tab is tolerated.
func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
