package upload

import (
	"bytes"
	"encoding/json"
)

// compactLine returns an answer on one line.
func compactLine(answer json.RawMessage) []byte {
	var line bytes.Buffer
	if json.Compact(&line, answer) != nil {
		return bytes.ReplaceAll(answer, []byte("\n"), []byte(" ")) // not JSON; Answer.Error says so
	}
	return line.Bytes()
}

// failureLine returns the output line of a file without an answer.
func failureLine(r result) []byte {
	line, _ := json.Marshal(struct {
		Success  bool   `json:"success"`
		Filename string `json:"filename"`
		Error    string `json:"error"`
	}{Filename: r.name, Error: r.err.Error()}) // strings always marshal
	return line
}
