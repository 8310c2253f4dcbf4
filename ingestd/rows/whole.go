package rows

import "bytes"

// CompleteRows returns the length of the complete rows at the beginning of text, lines of form Quoted that may continue. The
// text behind them is a row with an open quote, whose end has not arrived. As for a Scanner, a quote that does not
// close within the longest row (of the default length) affects only its own line.
func CompleteRows(text []byte, separator byte) int {
	longest := Options{}.withDefaults().MaxLine
	most := longest + lineEnd
	for pos := 0; ; {
		rest := text[pos:]
		first := bytes.IndexByte(rest, '\n') + 1
		if first == 0 {
			return pos
		}
		if bytes.Count(rest[:first], []byte{'"'})%2 == 0 {
			pos += first
			continue
		}
		end, next, v := rowEnd(rest[:min(len(rest), most)], separator, false)
		switch {
		case v == undecided && len(rest) < most:
			return pos
		case v == closed && end <= longest:
			pos += next
		default:
			pos += first
		}
	}
}
