package coding

import (
	"strconv"
	"strings"
)

// coding is a content coding of HTTP.
type coding string

const (
	identity coding = ""
	gzipped  coding = "gzip"
	zstd     coding = "zstd"
)

// acceptedCoding returns the coding that an Accept-Encoding header prefers, at equal weight the one that is cheaper to make.
func acceptedCoding(header string) coding {
	if header == "" {
		return identity
	}
	weights := map[string]float64{}
	for part := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, params, _ := strings.Cut(part, ";")
		weights[strings.TrimSpace(name)] = weightOf(params)
	}
	best, most := identity, 0.0
	for _, c := range [...]coding{zstd, gzipped} {
		weight, named := weights[string(c)]
		if !named {
			weight = weights["*"]
		}
		if weight > most {
			best, most = c, weight
		}
	}
	if weights["identity"] > most {
		return identity
	}
	return best
}

// weightOf returns the weight in the parameters of a coding: 1 without one, 0 for a malformed one.
func weightOf(params string) float64 {
	text, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
	if !given {
		return 1
	}
	weight, err := strconv.ParseFloat(text, 64)
	if err != nil || weight < 0 || weight > 1 {
		return 0
	}
	return weight
}
