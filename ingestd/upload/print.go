package upload

import (
	"bytes"
	"encoding/json"
)

// compact puts an answer on one line.
func compact(answer json.RawMessage) []byte {
	var line bytes.Buffer
	if json.Compact(&line, answer) != nil {
		return bytes.ReplaceAll(answer, []byte("\n"), []byte(" ")) // it was no JSON; Error says so
	}
	return line.Bytes()
}

// failure is the line of a file that the server said nothing of.
func failure(r result) []byte {
	line, _ := json.Marshal(struct {
		Success  bool   `json:"success"`
		Filename string `json:"filename"`
		Error    string `json:"error"`
	}{Filename: r.name, Error: r.err.Error()}) // strings always marshal
	return line
}
