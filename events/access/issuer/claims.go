package issuer

import (
	"slices"
	"strings"
)

// textList returns the words of a claim that is a text or a list of texts, in which separators stand between words. Anything
// else is an empty list.
func textList(claim any, separators ...rune) []string {
	var all []string
	words := func(text string) []string {
		return strings.FieldsFunc(text, func(r rune) bool { return slices.Contains(separators, r) })
	}
	switch c := claim.(type) {
	case string:
		all = words(c)
	case []any:
		for _, one := range c {
			text, ok := one.(string)
			if !ok {
				return nil
			}
			all = append(all, words(text)...)
		}
	}
	return all
}
