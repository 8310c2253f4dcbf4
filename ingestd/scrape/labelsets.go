package scrape

// labelSets remembers the plain labels of a file's lines, because exporters write the samples of each metric for the same
// GPUs in the same order: the labels of a line are then found by one comparison.
type labelSets struct {
	all    []labelSet
	byText map[string]int32 // of sets after the first few
	last   int32
	bytes  int // of all texts
}

// labelSet is the text of plain labels, with the index of the set that followed it last time, at first the first one.
type labelSet struct {
	text string
	next int32
}

const (
	fewLabelSets      = 16 // sets that are found without a map
	maxLabelSets      = 4096
	maxLabelSetsBytes = 1 << 20
)

// findPrefix returns the length of the plain labels at the beginning of text, as plainLabelsLength does, and the number of
// their set, from 1; 0 if it is not remembered.
func (l *labelSets) findPrefix(text []byte) (number int32, length int) {
	if len(l.all) > 0 {
		next := l.all[l.last].next
		if known := l.all[next].text; len(text) >= len(known) && string(text[:len(known)]) == known {
			l.last = next // plain labels end at their brace, so the text behind it does not matter
			return next + 1, len(known)
		}
	}
	if length = plainLabelsLength(text); length == 0 {
		return 0, 0
	}
	i := l.indexOf(text[:length])
	if i >= 0 {
		l.all[l.last].next, l.last = i, i
	}
	return i + 1, length
}

// indexOf returns the index of a set, which it adds if there is room; else -1.
func (l *labelSets) indexOf(text []byte) int32 {
	for i := range min(fewLabelSets, len(l.all)) {
		if l.all[i].text == string(text) {
			return int32(i)
		}
	}
	if i, known := l.byText[string(text)]; known {
		return i
	}
	if len(l.all) == maxLabelSets || l.bytes+len(text) > maxLabelSetsBytes {
		return -1
	}
	i := int32(len(l.all))
	l.all = append(l.all, labelSet{text: string(text)})
	l.bytes += len(text)
	if i >= fewLabelSets {
		if l.byText == nil {
			l.byText = map[string]int32{}
		}
		l.byText[l.all[i].text] = i
	}
	return i
}
