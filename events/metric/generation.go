package metric

import (
	"fmt"
	"strconv"
	"strings"
)

// Generation is the version range of the exporter of a file, for names whose meaning changed between versions. There
// is one such name: GPU_UTIL_RATIO is an integer from 0 to 100 in DCGM 4.6 (field 203) and a fraction of 1 in DCGM
// 4.7 (field 1613), which dcgm-exporter exports from 4.9 on.
type Generation uint8

// The generations.
const (
	AnyGeneration Generation = iota // unknown: the text of each reading decides
	Before49                        // ratios are percentages
	Since49                         // ratios are fractions of 1
)

// GenerationOf parses the version of dcgm-exporter: 4.9.0, v4.9, or the tag of an image, where it follows the version
// of DCGM (4.5.3-4.8.2-ubi9).
func GenerationOf(version string) (Generation, error) {
	var last []int
	for part := range strings.SplitSeq(strings.TrimSpace(version), "-") {
		if numbers := versionNumbers(part); numbers != nil {
			last = numbers
		}
	}
	switch {
	case last == nil:
		return AnyGeneration, fmt.Errorf("%q is no version of dcgm-exporter; write it as 4.9.0", version)
	case last[0] > 4 || last[0] == 4 && last[1] >= 9:
		return Since49, nil
	}
	return Before49, nil
}

// versionNumbers returns at least two numbers separated by points, or nil for any other text.
func versionNumbers(text string) []int {
	var numbers []int
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "v"), ".") {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return nil
		}
		numbers = append(numbers, int(n))
	}
	if len(numbers) < 2 {
		return nil
	}
	return numbers
}

// GenerationOfName returns the generation proved by a name for its file: Since49 for a name that only DCGM 4.7 has, else
// AnyGeneration. DCGM 4.6.1 has fields 1600 to 1612 already (clocks in hertz, energy in joules, fan speed).
func GenerationOfName(source string) Generation {
	return catalogue().names[strings.ToLower(strings.TrimSpace(source))].proves
}

// Of returns the conversion for a file of a generation. It differs for GPU_UTIL_RATIO only.
func (c Conversion) Of(g Generation) Conversion {
	switch {
	case !c.guess || g == AnyGeneration:
		return c
	case g == Before49:
		return Conversion{}
	}
	return Conversion{scale: c.scale}
}
