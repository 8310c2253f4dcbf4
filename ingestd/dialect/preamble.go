package dialect

import (
	"bytes"
	"slices"

	"telemetry-pipeline/ingestd/rows"
)

// maxPreambleLines bounds the number of lines before a header that are examined.
const maxPreambleLines = 1000

// preamblePrefixes returns the beginnings of lines that may precede the header: messages of tools that were started
// in a loop before the driver was there, and of the shell that kept their output.
func preamblePrefixes() [][]byte {
	return [][]byte{
		[]byte("NVIDIA-SMI has failed"), []byte("Failed to initialize NVML"), []byte("NVML library version"), []byte("No devices were found"),
		[]byte("Unable to determine the device handle"), []byte("nohup: "),
	}
}

// skipPreamble skips such lines and returns the text behind them. The error is io.EOF when there is no other text.
func skipPreamble(sc *rows.Scanner, head []byte) ([]byte, error) {
	known := preamblePrefixes()
	for range maxPreambleLines {
		head = skipBlankLines(head)
		if !slices.ContainsFunc(known, func(word []byte) bool { return bytes.HasPrefix(head, word) }) {
			break
		}
		sc.RejectLine("a message, and no row; the values that could not be read are not in the file")
		var err error
		if head, err = sc.Peek(HeadBytes); err != nil {
			return nil, err
		}
	}
	return head, nil
}
