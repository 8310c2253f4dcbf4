package dcgmdmon

import (
	"bytes"
	"strconv"
)

// entity is the subject of a row.
type entity struct {
	text  string // as dcgmi prints it, one blank between words
	gpu   int    // its index, -1 for another entity
	whole bool   // the GPU itself, not a link of it
	part  string // of the GPU, or without one
}

// parseEntity reads an entity such as GPU 0, GPU-I 1, CPU Core 3 or SW 0 LINK 3.
func parseEntity(words [][]byte) (entity, bool) {
	e := entity{gpu: -1, text: string(bytes.Join(words, []byte(" ")))}
	if n := len(words); n > 3 && string(words[n-2]) == "LINK" {
		link, ok := parseNumber(words[n-1])
		if !ok {
			return e, false
		}
		words, e.part = words[:n-2], "nvlink:"+strconv.Itoa(link)
	}
	if len(words) < 2 || len(words) > 3 {
		return e, false
	}
	n, ok := parseNumber(words[len(words)-1])
	kind := kindOf(string(bytes.Join(words[:len(words)-1], []byte(" "))))
	switch {
	case !ok || kind == "":
		return e, false
	case kind == "gpu":
		e.gpu, e.whole = n, e.part == ""
	case e.part == "":
		e.part = kind + ":" + strconv.Itoa(n)
	default:
		e.part = kind + ":" + strconv.Itoa(n) + "," + e.part
	}
	return e, true
}

// kindOf returns the kind in the name of an entity's part, or "" if name is no entity.
func kindOf(name string) string {
	switch name {
	case "GPU":
		return "gpu"
	case "GPU-I":
		return "gpu_i"
	case "GPU-CI":
		return "gpu_ci"
	case "vGPU":
		return "vgpu"
	case "Switch", "SW", "NvSwitch":
		return "nvswitch"
	case "LINK":
		return "nvlink"
	case "CPU":
		return "cpu"
	case "CPU Core", "Core":
		return "cpucore"
	case "CX", "ConnectX":
		return "connectx"
	case "UNKNOWN":
		return "unknown"
	}
	return ""
}

func parseNumber(text []byte) (int, bool) {
	n, err := strconv.ParseUint(string(text), 10, 32)
	return int(n), err == nil
}
