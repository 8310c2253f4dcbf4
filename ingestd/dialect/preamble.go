package dialect

import (
	"telemetry-pipeline/ingestd/rows"
)

// maxPreambleLines bounds the number of lines before a header that are examined.
const maxPreambleLines = 1000

// preamblePrefixes returns the beginnings of lines that may precede the header: messages of tools that were started
// in a loop before the driver was there, and of the shell that kept their output.
func preamblePrefixes() [6]string {
	return [...]string{
		"NVIDIA-SMI has failed", "Failed to initialize NVML", "NVML library version", "No devices were found",
		"Unable to determine the device handle", "nohup: ",
	}
}

// beginsWithPreamble reports whether a text begins with such a line.
func beginsWithPreamble(text []byte) bool {
	for _, word := range preamblePrefixes() {
		if len(text) >= len(word) && string(text[:len(word)]) == word {
			return true
		}
	}
	return false
}

// skipPreamble skips such lines, of which the text has one, and returns the text behind them, which is the scanner's. The
// error is io.EOF when there is no other text.
func skipPreamble(sc *rows.Scanner) (text []byte, err error) {
	for range maxPreambleLines {
		sc.RejectLine("a message, and no row; the values that could not be read are not in the file")
		if text, err = sc.Peek(HeadBytes); err != nil {
			return nil, err
		}
		if text = skipBlankLines(text); !beginsWithPreamble(text) {
			break
		}
	}
	return text, nil
}
